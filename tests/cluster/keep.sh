#!/bin/sh
# keep.sh DIR: runs each DIR/run/NAME until its own standard input ends, then ends them all and removes
# DIR. Whoever starts it holds the other end of that pipe, so that nothing is left behind even when a
# test is killed: a pipe closes with its process, a destructor need not run.
dir=$1
pids=
for script in "$dir"/run/*; do
  name=${script##*/}
  sh "$script" >"$dir/log/$name" 2>&1 </dev/null &
  echo $! >"$dir/pid/$name"
  pids="$pids $!"
done
cat >/dev/null
# shellcheck disable=SC2086
kill -9 $pids 2>/dev/null
wait
rm -rf "$dir"
