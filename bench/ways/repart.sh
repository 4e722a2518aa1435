# systemd-repart without loop devices: CopyFiles= for the root; the ESP is copied from an image, since older versions cannot fill a FAT.
esp_image "$out/esp.img"
size=$(($(du -s --apparent-size -BM "$workload/root" | cut -dM -f1) * 120 / 100 + 16))M
mkdir "$out/repart.d"
cat > "$out/repart.d/10-esp.conf" <<PARTITION
[Partition]
Type=esp
CopyBlocks=$out/esp.img
SizeMinBytes=64M
SizeMaxBytes=64M
PARTITION
cat > "$out/repart.d/20-root.conf" <<PARTITION
[Partition]
Type=root
Format=ext4
CopyFiles=$workload/root:/
SizeMinBytes=$size
SizeMaxBytes=$size
PARTITION
systemd-repart --definitions="$out/repart.d" --empty=create --size=auto --dry-run=no --seed=$hash_seed "$out/disk.raw" > "$out/log" 2>&1
