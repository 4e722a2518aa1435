# What (gnu build image) and (gnu system image) of Guix do: copy everything, run mke2fs -d under fakeroot with 1.25 times the size, let e2fsck
# index the directories, make a FAT image, and assemble the disk with genimage.
mkdir "$out/staging" "$out/empty"
cp -a --reflink=never "$workload/root/." "$out/staging/"
bytes=$(du -s --apparent-size -B1 "$out/staging" | cut -f1)
fakeroot mke2fs -q -t ext4 -L root -U $root_uuid -d "$out/staging" \
	-E root_owner=0:0,lazy_itable_init=1,lazy_journal_init=1,hash_seed=$hash_seed "$out/root.img" $((bytes * 125 / 100 / 1024 + 1))k
e2fsck -fDy "$out/root.img" > /dev/null 2>&1 || [ $? -le 1 ] # 1: it changed directories
esp_image "$out/esp.img"
cat > "$out/genimage.cfg" <<CONFIG
image disk.raw {
	hdimage { partition-table-type = "gpt" }
	partition ESP { partition-type-uuid = "U" image = "esp.img" offset = "1M" }
	partition root { partition-type-uuid = "L" image = "root.img" offset = "65M" }
}
CONFIG
genimage --config "$out/genimage.cfg" --rootpath "$out/empty" --tmppath "$out/tmp" --inputpath "$out" --outputpath "$out" > "$out/log" 2>&1
