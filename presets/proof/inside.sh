# What the boot proof asks a system over ssh: one `name=value` a line, then the kernel's own messages.
# Any shell, systemd or OpenRC, GNU tools or busybox.
echo "kernel=$(uname -r)"

# mountinfo's fields (proc_pid_mountinfo(5)): id, parent, device number, root, mount point, options, … - type, source.
while read -r _ _ number _ place options; do
  if [ "$place" = / ]; then
    root=${options##* - }
    device=$number
  fi
done < /proc/self/mountinfo
type=${root%% *}
source=${root#* }
source=${source%% *}
echo "root=$source"
echo "type=$type"

# In blocks of 512 bytes; a file system that has no device number of its own (btrfs) is found by its source's name.
block=/sys/dev/block/$device
[ -e "$block" ] || block=/sys/class/block/${source##*/}
block=$(readlink -f "$block")
if [ -e "$block/partition" ]; then disk=${block%/*}; else disk=$block; fi
[ -e "$block/size" ] && echo "partition_blocks=$(cat "$block/size")"
[ -e "$disk/size" ] && echo "disk_blocks=$(cat "$disk/size")"
taken=0
for part in "$disk"/*/partition; do
  [ -e "$part" ] || continue
  part=${part%/partition}
  end=$(($(cat "$part/start") + $(cat "$part/size")))
  [ "$end" -gt "$taken" ] && taken=$end
done
echo "taken_blocks=$taken"
echo "filesystem_kib=$(df -Pk / | { read -r _; read -r _ size _; echo "$size"; })"

if [ -d /run/systemd/system ]; then
  echo "state=$(timeout 60 systemctl is-system-running --wait 2>/dev/null || systemctl is-system-running)"
  echo "failed=$(systemctl list-units --failed --plain --no-legend | { while read -r unit _; do printf '%s ' "$unit"; done; })"
elif command -v rc-status > /dev/null; then
  echo "state=$(rc-status --runlevel 2>/dev/null)"
  echo "failed=$(rc-status --crashed 2>/dev/null | { while read -r service _; do printf '%s ' "$service"; done; })"
fi
echo "messages="
dmesg 2>/dev/null || sudo -n dmesg 2>/dev/null || true
