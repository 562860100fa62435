#!/bin/sh
# A board on a serial line: boots, lets one log in, runs one test suite. $1 is a folder that says
# what else it does: `boot` is printed while booting, `test` while testing, with `silent` no prompt
# ever comes, with `hold` the suite waits until somebody writes to the pipe `gate`.
# What is typed is echoed when it is read: so the order of all that is printed is fixed.
stty -echo
printf 'U-Boot 2026.01 (scripted board)\nStarting kernel ...\n\n'
printf '[    0.000000] Linux version 6.1.0-board (cc 12.2.0) #1 SMP\n'
[ -f "$1/boot" ] && cat "$1/boot"
if [ -f "$1/silent" ]; then
  printf '[    1.000000] board: waiting for the root device ...'
  read -r _ignored
  exec sleep 60
fi
printf '\nScripted Linux 1.0 board ttyS0\n\nboard login: '
read -r user
printf '%s\n' "$user"
prompt='root@board:~# '
printf '%s' "$prompt"
while IFS= read -r line; do
  printf '%s\n' "$line"
  case "$line" in
  *LAVA_SIGNAL_RETRUNCODE*) printf '<LAVA_SIGNAL_RETRUNCODE 0>\n' ;;
  *lava-test-runner*)
    id=${line#/lava-}
    id=${id%%/*}
    printf '<LAVA_TEST_RUNNER START>\n<LAVA_SIGNAL_STARTRUN 0_smoke %s_1.2.1>\n' "$id"
    [ -f "$1/test" ] && cat "$1/test"
    for result in boots:pass network:fail sound:skip; do
      name=${result%:*}
      printf '<LAVA_SIGNAL_STARTTC %s>\nchecking %s\n<LAVA_SIGNAL_ENDTC %s>\n' "$name" "$name" "$name"
      printf '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=%s RESULT=%s>\n' "$name" "${result#*:}"
    done
    if [ -f "$1/hold" ]; then
      mkfifo "$1/gate"
      printf 'Continue? [y/n] '
      read -r _go <"$1/gate"
      printf '\n'
    fi
    printf '<LAVA_SIGNAL_TESTCASE TEST_CASE_ID=speed RESULT=pass UNITS=MB/s MEASUREMENT=42.5>\n'
    printf '<LAVA_SIGNAL_ENDRUN 0_smoke %s_1.2.1>\n<LAVA_TEST_RUNNER EXIT>\n' "$id"
    ;;
  esac
  printf '%s' "$prompt"
done
