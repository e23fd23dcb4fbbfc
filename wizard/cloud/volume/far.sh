# The far end: run by sh as root on the instance.  It is asked over standard input, a line a request, and answers each
# with one line.  It needs dd and sha256sum, and writes nothing but the disk that `find` has found.
#
#   disks                               disks NAME,NAME,…
#   find VOLUME LETTER BYTES IS KNOWN   found NAME | absent
#     VOLUME: its id without the dash; LETTER: the f of /dev/sdf; IS: fresh, or begun by an earlier attempt;
#     KNOWN: the disks from before the volume was attached, or - where that was not seen
#   flush                               flush direct | dropped | cached: how far from a cache `sum` will read
#   sum INDEX COUNT                     sum INDEX SHA-256
#   put INDEX COUNT, then the bytes     put INDEX
#
# INDEX and COUNT are in blocks of 512 KiB.  Instead of any answer: `no CODE WORDS…`, and it ends.
set -u
export LC_ALL=C
PATH=$PATH:/usr/sbin:/sbin
# The practice cloud and the tests have a /dev and a /sys of their own there.
root=${AMI_WIZARD_FAR_ROOT:-}
disk='' serial='' number='' direct=''

refuse() {
  printf 'no %s\n' "$*"
  exit 1
}

disks() {
  names=''
  for at in "$root"/sys/block/*; do
    [ -d "$at" ] && names=$names,${at##*/}
  done
  printf 'disks %s\n' "${names#,}"
}

# The first word of a file of /sys; nothing where there is no such file.
word_in() {
  word=''
  [ -r "$1" ] && read -r word < "$1"
}

# Linux gives the id of an EBS volume as the serial number of its NVMe disk.  A disk of Xen has none: it counts when it
# has the name that was asked for and was not there before.
locate() {
  for at in "$root"/sys/block/nvme*; do
    word_in "$at/device/serial"
    if [ "$word" = "$1" ]; then disk=${at##*/} serial=$1; return 0; fi
  done
  [ "$3" = - ] && return 1
  case ",$3," in *",xvd$2,"*) return 1 ;; esac
  disk=xvd$2 serial=''
  [ -d "$root/sys/block/$disk" ]
}

find_disk() {
  if ! locate "$1" "$2" "$5"; then disk=''; echo absent; return; fi
  sys=$root/sys/block/$disk device=$root/dev/$disk
  [ -b "$device" ] || { [ -n "$root" ] && [ -f "$device" ]; } || { echo absent; return; }
  word_in "$sys/size"
  [ "$((word * 512))" = "$3" ] || refuse volume-device-differs "/dev/$disk has $((word * 512)) bytes, the volume $3"
  word_in "$sys/ro"
  [ "$word" = 0 ] || refuse volume-device-differs "/dev/$disk can only be read"
  unused
  [ "$4" = begun ] || empty
  word_in "$sys/dev"
  number=$word
  echo "found $disk"
}

# Nobody mounts, swaps to or builds upon the disk or a partition of it.
unused() {
  case $disk in *[0-9]) part=${disk}p ;; *) part=$disk ;; esac
  for list in "$root/proc/self/mounts" "$root/proc/swaps"; do
    while read -r used _; do
      case $used in
        "/dev/$disk" | "/dev/$part"[0-9]*) refuse volume-device-in-use "$used is in ${list#"$root"}" ;;
      esac
    done < "$list"
  done
  for holder in "$sys"/holders/* "$sys/$part"*/holders/*; do
    [ -e "$holder" ] && refuse volume-device-in-use "/dev/$disk is held by ${holder##*/}"
  done
}

# Where partition tables and the signatures of file systems lie there are zeros, as in every new volume.
empty() {
  zeros=$(dd if=/dev/zero bs=1048576 count=1 2>/dev/null | sha256sum)
  word_in "$sys/size"
  for place in 0 "$((word / 2048 - 1))"; do
    [ "$(dd if="$device" bs=1048576 skip="$place" count=1 2>/dev/null | sha256sum)" = "$zeros" ] ||
      refuse volume-not-empty "there is data at MiB $place of /dev/$disk"
  done
}

# A volume may be detached meanwhile, and another disk may get its name.
still_there() {
  [ -n "$disk" ] || refuse volume-device-gone "no disk was found yet"
  word_in "$sys/dev"
  [ "$word" = "$number" ] || refuse volume-device-gone "/dev/$disk is not what it was"
  [ -z "$serial" ] && return
  word_in "$sys/device/serial"
  [ "$word" = "$serial" ] || refuse volume-device-gone "/dev/$disk is not $serial any more"
}

flush() {
  said=$(dd if=/dev/null of="$device" count=0 conv=notrunc,fsync 2>&1) || refuse volume-write-failed $said
  direct='' how=cached
  if dd if="$device" of=/dev/null bs=524288 count=1 iflag=direct 2>/dev/null; then
    direct=iflag=direct how=direct
  elif echo 1 2>/dev/null > "$root/proc/sys/vm/drop_caches"; then
    how=dropped
  fi
  echo "flush $how"
}

sum() {
  digest=$(dd if="$device" bs=524288 skip="$1" count="$2" $direct 2>/dev/null | sha256sum)
  echo "sum $1 ${digest%% *}"
}

put() {
  said=$(dd of="$device" bs=524288 seek="$1" count="$2" iflag=fullblock conv=notrunc 2>&1) ||
    refuse volume-write-failed $said
  echo "put $1"
}

echo ready
while read -r request one two three four five; do
  case $request in
    disks) disks ;;
    find) find_disk "$one" "$two" "$three" "$four" "$five" ;;
    flush) still_there; flush ;;
    sum) still_there; sum "$one" "$two" ;;
    put) still_there; put "$one" "$two" ;;
    *) refuse volume-device-gone "an unknown request: $request" ;;
  esac
done
