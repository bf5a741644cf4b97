#!/bin/sh
# A device as an emulated board (Cortex-M4, QEMU): boots the firmware BOARD with the key page, the
# counter and the readings of this folder, and prints its report.
#
#   board.sh NAME HOST COUNT
#
# HOST is an address as the board sees it: this machine's loopback is 10.0.2.2.
set -eu
name=$1 host=$2 count=$3
arguments="arg=fw,arg=report=$name.report,arg=host=$host,arg=count=$count,arg=ip=10.0.2.15"
arguments="$arguments,arg=inputs=inputs.f32,arg=counter=$name.counter"
rm -f "$name.report"
status=0
qemu-system-arm -machine mps2-an386 -icount shift=6 -nic user,model=lan9118 \
    -device "loader,file=$name.page,addr=0xFF000,force-raw=on" \
    -serial none -display none -monitor none \
    -semihosting-config "enable=on,target=native,$arguments" \
    -kernel "${BOARD:-/board}" || status=$?
cat "$name.report" || true
exit "$status"
