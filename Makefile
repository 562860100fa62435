# Aliases. What they call is in demo/ and tools/; nothing is decided here.
PREFIX ?= /usr/local

.PHONY: demo test lint soak bench install interop

demo:
	demo/run

test:
	tools/test

lint:
	tools/lint

soak:
	tools/test --run-ignored

bench:
	cargo run --locked --release -p bench

install:
	tools/install "$(PREFIX)"

interop:
	tests/interop/run
