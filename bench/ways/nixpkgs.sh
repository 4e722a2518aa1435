# What nixos/lib/make-ext4-fs.nix and sd-image.nix of nixpkgs do: copy the items one by one, run mkfs.ext4 -d under fakeroot with an upper bound
# of the size, check the file system, shrink it to its minimum plus 16 MiB, and copy it into the disk.
tree=$out/rootImage image=$out/root.img
mkdir -p "$tree/nix/store"
while read -r item; do cp -a --reflink=auto "$workload/root$item" "$tree/nix/store/"; done < "$workload/store-paths"
for dir in "$workload"/root/*; do [ "${dir##*/}" = nix ] || cp -a "$dir" "$tree/"; done
cp "$workload/registration" "$tree/nix-path-registration"
inodes=$(find "$tree" | wc -l)
blocks=$(du -s -B 4096 --apparent-size "$tree" | awk '{ print int($1 * 1.20) }')
bytes=$((((2 * 4096 * inodes + 4096 * blocks) / mib + 1) * mib))
truncate -s $bytes "$image"
fakeroot mkfs.ext4 -q -L root -U $root_uuid -E hash_seed=$hash_seed -d "$tree" "$image"
fsck.ext4 -nf "$image" > /dev/null 2>&1
resize2fs -M "$image" > /dev/null 2>&1
resize2fs "$image" $(dumpe2fs -h "$image" 2> /dev/null | awk -F: -v more=$((16 * mib)) \
	'/^Block count/ { n = $2 } /^Block size/ { s = $2 } END { print int((n * s + more) / s) }') > /dev/null 2>&1
esp_image "$out/esp.img"
partition_table "$out/disk.raw" $((($(stat -c %s "$image") + mib - 1) / mib))
dd conv=notrunc if="$image" of="$out/disk.raw" seek=65 bs=1M status=none
dd conv=notrunc if="$out/esp.img" of="$out/disk.raw" seek=1 bs=1M status=none
