# With the kernel: loop device, mkfs, mount, cp.
size=$(($(du -s --apparent-size -BM "$workload/root" | cut -dM -f1) * 120 / 100 + 48))
partition_table "$out/disk.raw" $size
esp_image "$out/esp.img"
dd conv=notrunc if="$out/esp.img" of="$out/disk.raw" seek=1 bs=1M status=none
device=$(losetup --find --show --offset $root_start --sizelimit $((size * mib)) "$out/disk.raw")
trap 'umount "$out/mnt" 2> /dev/null || true; losetup --detach "$device"' EXIT
mkfs.ext4 -q -L root -U $root_uuid "$device"
mkdir "$out/mnt"
mount "$device" "$out/mnt"
cp -a --reflink=never "$workload/root/." "$out/mnt/"
umount "$out/mnt"
