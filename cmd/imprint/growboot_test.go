package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
)

// growInit does what systemd does in an initrd, with its own programs: systemd-repart reads the definitions on the root file system, and
// systemd-growfs is what the generator starts for the flag growfs.
const growInit = `mkdir -p /etc /run && touch /etc/initrd-release
mount -t ext4 /dev/vda2 /sysroot || echo "imprint: FAIL: mount"
sizes() { echo "imprint: $1: $(cat /sys/class/block/vda1/size /sys/class/block/vda2/size | xargs) $(stat -f -c '%b %S' /sysroot)"; }
sizes before
systemd-repart --dry-run=no --pretty=no || echo "imprint: FAIL: systemd-repart"
/lib/systemd/systemd-growfs /sysroot || echo "imprint: FAIL: systemd-growfs"
sizes after
echo grown > /sysroot/written || echo "imprint: FAIL: write"
umount /sysroot || echo "imprint: FAIL: umount"`

const growPartitions = `
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
size = "16MiB"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "8MiB"
grow-at-boot = true
`

// When the disk has grown, systemd enlarges the partition that is to grow at boot and its file system, and nothing else. Other programs find no
// fault in the disk then.
func TestGrowAtBoot(t *testing.T) {
	t.Parallel()
	const growfs, more = "/lib/systemd/systemd-growfs", 200 << 20
	hosttest.Need(t, "systemd-repart", "sgdisk", "e2fsck")
	hosttest.NeedFile(t, growfs)
	image := guest{
		modules: []string{"virtio_pci", "virtio_blk"}, programs: []string{growfs, hosttest.Find(t, "systemd-repart")},
		init: growInit, partitions: growPartitions,
	}.build(t)
	size := enlarge(t, image, more)
	console := bootGuest(t, image, true)
	before, after := sizesIn(t, console, "before"), sizesIn(t, console, "after")
	if after.data != before.data || after.root <= before.root+more-2<<20 || after.root >= size-after.data {
		t.Errorf("of %d bytes the partitions have %+v, before %+v", size, after, before)
	}
	if before.files > before.root || after.files > after.root || after.files < after.root/10*9 {
		t.Errorf("the root file system has another size than its partition: %+v, before %+v", after, before)
	}
	checkGrown(t, image)
}

// enlarge adds zeros to a file and returns its size.
func enlarge(t *testing.T, file string, more int64) int64 {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, info.Size()+more); err != nil {
		t.Fatal(err)
	}
	return info.Size() + more
}

// checkGrown has programs check the partition table, the flag growfs, and the root file system with what the guest has written.
func checkGrown(t *testing.T, image string) {
	t.Helper()
	table := hosttest.Run(t, "sgdisk", "-v", "-i", "2", image)
	for _, want := range []string{"No problems found", "Attribute flags: 0800000000000000"} {
		if !strings.Contains(table, want) {
			t.Errorf("sgdisk does not say %q:\n%s", want, table)
		}
	}
	first := regexp.MustCompile(`First sector: (\d+)`).FindStringSubmatch(table)
	if first == nil {
		t.Fatalf("no first sector in\n%s", table)
	}
	sector, err := strconv.ParseInt(first[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	hosttest.Run(t, "e2fsck", "-fn", fmt.Sprintf("%s?offset=%d", image, sector*512))
	if got := imprint(t, "cat", image+":root", "/written"); !strings.Contains(got, "grown\n") {
		t.Errorf("the guest has written %q", got)
	}
}

// A guestSizes is sizes in bytes.
type guestSizes struct{ data, root, files int64 } // of the partitions, and of the root file system

// sizesIn returns the sizes that the guest has printed.
func sizesIn(t *testing.T, console, when string) (s guestSizes) {
	t.Helper()
	var block int64
	_, line, _ := strings.Cut(console, "imprint: "+when+": ")
	if _, err := fmt.Sscan(line, &s.data, &s.root, &s.files, &block); err != nil {
		t.Fatalf("no sizes %s in\n%s", when, console)
	}
	return guestSizes{s.data * 512, s.root * 512, s.files * block}
}
