# Aliases. What they call is in demo/ and tools/; nothing is decided here.
.PHONY: demo test lint soak bench

demo:
	demo/run

test:
	tools/test

lint:
	tools/lint

soak:
	tools/test --run-ignored

bench:
	cargo run --release -p bench
