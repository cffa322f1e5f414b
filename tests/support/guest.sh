# shellcheck shell=bash
# shellcheck disable=SC2154  # work, source_root: of netns.sh
# A virtual machine (QEMU, software emulation) as the router's machine, with network cards that DPDK drives through
# vfio-pci behind a virtual IOMMU: what no software port can show. Sourced by a scenario after netns.sh; the wires
# of the cards are interfaces of the scenario's hosts. Proves function, not speed.
#
#   make_guest CONFIG "$program"...                # modules, libraries, programs, CONFIG as /etc/CONFIG: initramfs.gz
#   start_guest "${cards[@]}"                      # -device and -netdev arguments of QEMU
#   guest 'sluice status --json'                   # runs a shell line in it; prints its output, returns its status
#
# Needs qemu-system-x86, busybox-static, cpio and Debian's kernel image (scripts/install-deps --guest).

guest_tool=$source_root/tests/support/guest.py
guest_kernel=$(find /var/cache/sluice/kernel/boot -name 'vmlinuz-*' 2>/dev/null | sort | tail -n 1)

# copy_program FILE ROOT: with every library it loads.
copy_program() {
  local library
  install -D -m 755 "$1" "$2/usr/bin/$(basename "$1")"
  ldd "$1" | awk '/=> \// {print $3} $1 ~ /^\// {print $1}' | while read -r library; do
    [ -e "$2$library" ] || install -D -m 755 "$(readlink -f "$library")" "$2$library"
  done
}

make_guest() {
  local root=$work/initramfs modules name file
  [ -n "$guest_kernel" ] || bail "no kernel for the virtual machine: scripts/install-deps --guest"
  modules=$(dirname "$(dirname "$guest_kernel")")/lib/modules
  mkdir -p "$root"/{bin,dev,proc,sys,run,tmp,etc,lib/modules,dev/hugepages}
  cp /bin/busybox "$root/bin/"
  cp "$1" "$root/etc/"
  shift
  for name in "$@"; do copy_program "$name" "$root"; done
  # Drivers are loaded by name at start, with the libraries they pull in.
  name=$(echo /usr/lib/x86_64-linux-gnu/dpdk/pmds-*)
  mkdir -p "$root$name"
  for file in "$name"/librte_{bus_pci,bus_vdev,mempool_ring,net_e1000,net_virtio,net_tap}.so.23*; do
    cp -L "$file" "$root$name/"
    ldd "$file" | awk '/=> \// {print $3}' | while read -r library; do
      [ -e "$root$library" ] || install -D -m 755 "$(readlink -f "$library")" "$root$library"
    done
  done
  for name in irqbypass vfio vfio_virqfd vfio_iommu_type1 vfio-pci-core vfio-pci tun \
    virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_console; do
    echo "$name" >>"$root/lib/modules/order"
    file=$(find "$modules" -name "$name.ko*" -print -quit)
    [ -n "$file" ] || bail "no module $name in $modules"
    cp "$file" "$root/lib/modules/"
  done
  echo allow_unsafe_interrupts=1 >"$root/lib/modules/vfio_iommu_type1.options"
  cp "$source_root/tests/support/guest-init" "$root/init"
  chmod 755 "$root/init"
  (cd "$root" && find . | cpio --quiet -o -H newc) | gzip -1 >"$work/initramfs.gz"
  rm -rf "$root"
}

# start_guest QEMU-ARGUMENT...: waits for its shell. A boot of emulation hangs now and then: one more try, and a note.
start_guest() {
  local attempt
  mkfifo "$work/guest-shell.in"
  for attempt in 1 2; do
    : >"$work/guest-console.log"
    start guest qemu-system-x86_64 -accel tcg,thread=multi -cpu max -smp 2 -m 1536 \
      -nodefaults -no-reboot -display none \
      -machine q35,kernel-irqchip=off -device intel-iommu,intremap=off,caching-mode=on,device-iotlb=on \
      -kernel "$guest_kernel" -initrd "$work/initramfs.gz" \
      -append 'console=ttyS0 quiet intel_iommu=on panic=-1' \
      -serial "file:$work/guest-console.log" -chardev "socket,id=shell,path=$work/guest.sock,server=on,wait=off" \
      -device virtio-serial-pci,addr=1e -device virtconsole,chardev=shell \
      "$@"
    wait_for 10 test -S "$work/guest.sock"
    : >"$work/guest-shell.out"
    start guest-shell /usr/bin/python3 "$guest_tool" relay "$work/guest.sock" "$work/guest-shell.in" \
      "$work/guest-shell.out"
    if wait_for 60 logged guest-console 'guest: up' && wait_for 20 guest true 5; then return 0; fi
    note "attempt $attempt: the virtual machine gave no shell within 60 s"
    stop guest KILL || true
    stop guest-shell KILL || true
  done
  bail "the virtual machine does not start"
}

# guest LINE [SECONDS]
guest() { /usr/bin/python3 "$guest_tool" run "$work/guest-shell.in" "$work/guest-shell.out" "$1" "${2:-60}"; }
stop_guest() {
  guest 'poweroff -f' 2 || true
  wait_for 20 not alive guest
  collect guest
  collect guest-shell
}
