package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"imprint/internal/demostore"
	"imprint/internal/demostore/demotest"
	"imprint/internal/hosttest"
	"imprint/internal/nixtest"
	"imprint/internal/qemutest"
)

// kernelDescription describes a system whose /etc/rc uses a second disk, and the file system for that disk.
const kernelDescription = `
name = "kernel"
arch = "x86_64"
[[source]]
path = "store"
registration = "registration"
[[closure]]
name = "system"
roots = ["system"]
[boot]
loader = "systemd-boot"
timeout = 0
[[boot.entry]]
title = "kernel"
kernel = "${closure.system}/kernel"
initrd = ["${closure.system}/initrd"]
cmdline = "init=${closure.system}/init root=PARTUUID=${partition.root.partuuid} console=ttyS0 panic=-1 quiet"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "64MiB"
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
free = "16MiB"
closures = ["system"]
  [[partition.tree]]
  source = "guest"
[[partition]]
name = "data"
type = "linux-generic"
filesystem = "ext4"
free = "200MiB" # with one inode for each 16 KiB
  [[partition.tree]]
  source = "data"
`

// guestWork is what the guest does with the file system on its second disk: it writes and deletes thousands of files, and grows the file
// system to twice its size while it is mounted.
const guestWork = `
set -e
PATH=$PATH:/usr/sbin:/sbin
mount -t ext4 /dev/vdb /mnt
if [ -e /mnt/synced ]; then # the second boot, after a power cut
	[ "$(ls /mnt/synced | wc -l)" = 2000 ]
	[ "$(cat /mnt/synced/1999)" = 1999 ]
	echo again > /mnt/after
	umount /mnt
	exit 0
fi
[ "$(cat /mnt/deep/er/file)" = content ]
rm -r /mnt/deep
make() { mkdir "/mnt/$1"; i=0; while [ $i -lt "$2" ]; do echo $i > "/mnt/$1/$i"; i=$((i + 1)); done; }
case $(cat /etc/work) in
grow)
	make new 10000
	rm /mnt/new/*7
	dd if=/dev/urandom of=/mnt/large bs=1M count=8 2> /dev/null
	resize2fs /dev/vdb
	dd if=/dev/urandom of=/mnt/larger bs=1M count=20 2> /dev/null
	df -m /mnt
	umount /mnt
	;;
cut)
	make synced 2000
	sync
	make lost 2000
	echo "imprint: cut the power"
	sleep 600
	;;
esac
`

// kernelImage builds the system and returns its image, and the file system for the second disk in a file of twice its size.
func kernelImage(t *testing.T, work string) (image, data string) {
	dir := t.TempDir()
	if _, _, err := demostore.Demo(dir, demotest.Need(t)); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"dev", "proc", "sys", "mnt", "etc"} {
		mkdir(t, filepath.Join(dir, "guest", d))
	}
	writeFile(t, filepath.Join(dir, "guest/etc/rc"), guestWork)
	writeFile(t, filepath.Join(dir, "guest/etc/work"), work)
	program(t, filepath.Join(dir, "guest"), "resize2fs")
	mkdir(t, filepath.Join(dir, "data/deep/er"))
	writeFile(t, filepath.Join(dir, "data/deep/er/file"), "content")
	for i := range 3000 {
		writeFile(t, filepath.Join(dir, "data", fmt.Sprint("file-", i)), strings.Repeat("x", i))
	}
	file := filepath.Join(dir, "image.toml")
	writeFile(t, file, kernelDescription)
	image, data = filepath.Join(dir, "kernel.raw"), filepath.Join(dir, "data.ext4")
	imprint(t, "build", file, "-o", image)
	r := nixtest.Partition(t, image, "data")
	hosttest.Run(t, "dd", "if="+image, "of="+data, "bs=1M", "iflag=skip_bytes,count_bytes", "status=none",
		fmt.Sprint("skip=", r.Offset), fmt.Sprint("count=", r.Length))
	if err := os.Truncate(data, 2*r.Length); err != nil {
		t.Fatal(err)
	}
	return image, data
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

// program copies a program of the host and its libraries to the same paths below root.
func program(t *testing.T, root, name string) {
	t.Helper()
	hosttest.Need(t, "ldd")
	path := hosttest.Find(t, name)
	files := []string{path}
	for _, m := range regexp.MustCompile(`(/\S+) \(0x`).FindAllStringSubmatch(hosttest.Run(t, "ldd", path), -1) {
		files = append(files, m[1])
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		mkdir(t, filepath.Join(root, filepath.Dir(f)))
		if err := os.WriteFile(filepath.Join(root, f), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// session boots the image with the second disk and waits for a line and, with off, until the guest has switched the machine off.
func session(t *testing.T, image, data, marker string, off bool) string {
	t.Helper()
	return qemutest.Boot(t, qemutest.Options{
		Image: image, Marker: marker, Bad: "^imprint: FAIL", PowerOff: off,
		Args: []string{"-drive", "if=virtio,format=raw,file=" + strings.ReplaceAll(data, ",", ",,")},
	}).Serial
}

// The kernel writes to our ext4 and grows it to twice its size, and e2fsck finds no errors afterwards.
func TestKernelGrows(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "e2fsck")
	image, data := kernelImage(t, "grow")
	log := session(t, image, data, "^imprint: ready$", true)
	if strings.Contains(log, "EXT4-fs error") || strings.Contains(log, "EXT4-fs warning") {
		t.Errorf("the kernel complains:\n%s", log)
	}
	nixtest.CheckExt4(t, data)
	info, err := os.Stat(data)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile(`Block count: +(\d+)`).FindStringSubmatch(hosttest.Run(t, "dumpe2fs", "-h", data))
	if len(blocks) != 2 || blocks[1] != fmt.Sprint(info.Size()/4096) {
		t.Errorf("the file system has %v blocks, its disk %d", blocks, info.Size()/4096)
	}
}

// After a power cut during writes, the journal restores everything that was synced.
func TestKernelPowerCut(t *testing.T) {
	t.Parallel()
	hosttest.Need(t, "e2fsck")
	image, data := kernelImage(t, "cut")
	session(t, image, data, "^imprint: cut the power$", false)
	if out, err := exec.Command(hosttest.Find(t, "dumpe2fs"), "-h", data).CombinedOutput(); err != nil || !strings.Contains(string(out), "needs_recovery") {
		t.Fatalf("the journal needs no recovery: %v\n%s", err, out)
	}
	session(t, image, data, "^imprint: ready$", true)
	nixtest.CheckExt4(t, data)
}
