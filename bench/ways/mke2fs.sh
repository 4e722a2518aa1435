# The best use of host tools: every file system is made at its place in the disk, and nothing is copied twice.
size=$(($(du -s --apparent-size -BM "$workload/root" | cut -dM -f1) * 115 / 100 + 48))
inodes=$(find "$workload/root" | wc -l)
partition_table "$out/disk.raw" $size
mkfs.vfat -F 16 -n ESP -i 1234abcd --invariant --offset 2048 "$out/disk.raw" $((esp_size / 1024)) > /dev/null
MTOOLS_SKIP_CHECK=1 mcopy -spmQ -i "$out/disk.raw@@1M" "$workload"/esp/* ::
mke2fs -q -F -t ext4 -b 4096 -N $((inodes * 17 / 16 + 64)) -L root -U $root_uuid -d "$workload/root" \
	-E offset=$root_start,root_owner=0:0,hash_seed=$hash_seed,lazy_itable_init=1,lazy_journal_init=1 "$out/disk.raw" $((size * 1024))k
