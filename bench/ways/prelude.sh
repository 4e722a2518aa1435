# Runs before each of the other scripts: bash -c … WAY WORKLOAD OUT. The workload has root/ (the tree of the root file system), esp/ and
# store-paths; OUT is empty. The result is OUT/disk.raw, a GPT disk with an ESP of 64 MiB at 1 MiB, followed by the root partition.
set -eu
workload=$1 out=$2
mib=1048576
esp_size=$((64 * mib))
root_start=$((65 * mib))
root_uuid=7b6f3a52-6c1e-4d0f-9a57-2f4c8b1d0e63
hash_seed=0d9c2b71-53aa-4c55-8f0e-91b7a6c3d2e4

# esp_image FILE: makes an image of the ESP alone
esp_image() {
	truncate -s $esp_size "$1"
	mkfs.vfat -F 16 -n ESP -i 1234abcd --invariant "$1" > /dev/null
	MTOOLS_SKIP_CHECK=1 mcopy -spmQ -i "$1" "$workload"/esp/* ::
}

# partition_table FILE MIB: makes a disk with a root partition of that size
partition_table() {
	truncate -s $((root_start + ($2 + 1) * mib)) "$1"
	sfdisk --quiet "$1" > /dev/null <<-TABLE
		label: gpt
		start=2048, size=$((esp_size / 512)), type=uefi, name=ESP
		start=$((root_start / 512)), size=$(($2 * 2048)), type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
	TABLE
}
