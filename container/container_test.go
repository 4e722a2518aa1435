package container_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"imprint/container"
	"imprint/internal/hosttest"
	"imprint/internal/pieces"
)

const piece = 4 << 20

// disk returns a disk of that size with holes, zeros, noise and text, and whether each piece is a hole.
func disk(size int64) (content []byte, holes []bool) {
	r := rand.New(rand.NewPCG(1, 2))
	content = make([]byte, size)
	for off := int64(0); off < size; off += piece {
		part := content[off:min(size, off+piece)]
		hole := off/piece%3 == 1
		holes = append(holes, hole)
		for at := 0; at < len(part) && !hole; at += 32 << 10 {
			block := part[at:min(len(part), at+32<<10)]
			switch r.IntN(4) {
			case 0:
				for i := range block {
					block[i] = byte(r.Uint32())
				}
			case 1:
				copy(block, strings.Repeat("a line of text that repeats\n", len(block)/28))
			case 2:
				block[r.IntN(len(block))] = 1
			}
		}
	}
	return content, holes
}

func describe(size int64, holes []bool) pieces.Disk {
	return pieces.Disk{Size: size, Piece: piece, Sector: 512, Hole: func(n int64) bool { return holes[n] }, ID: func(name string) (id [16]byte) {
		copy(id[:], name+"................")
		return id
	}}
}

// written writes a disk in a format to a file of a new directory: in the order of pieces, or in a random one and from several goroutines.
func written(t *testing.T, f *container.Format, o container.Options, content []byte, holes []bool, shuffled bool) string {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		file, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { file.Close() })
		return file
	}
	name := "disk" + f.Suffixes[0]
	d := describe(int64(len(content)), holes)
	o.Workers, o.Name, o.UEFI = 3, "web", true
	w, err := f.Create(container.Target{File: open(name), Spool: open("spool")}, d, o)
	if err != nil {
		t.Fatal(err)
	}
	order := rand.Perm(len(holes))
	var all sync.WaitGroup
	turn := make(chan struct{}, 1)
	if shuffled {
		turn = make(chan struct{}, 4)
	}
	for i, n := range order {
		if !shuffled {
			n = i
		}
		if holes[n] {
			continue
		}
		turn <- struct{}{}
		put := func() {
			defer func() { <-turn }()
			part := bytes.Clone(content[n*piece : min(len(content), (n+1)*piece)])
			if err := w.Put(int64(n), part); err != nil {
				t.Error(err)
			}
			clear(part) // as a window that is used again
		}
		if shuffled {
			all.Go(put)
		} else {
			put()
		}
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// variants are the formats with the options that change the file. Those with layers take an archive, not a disk; package oci tests them.
func variants(do func(name string, f *container.Format, o container.Options)) {
	for _, f := range container.Formats {
		if f.Layers {
			continue
		}
		do(f.Name, f, container.Options{})
		for _, c := range f.Compressions {
			do(f.Name+"-"+c, f, container.Options{Compression: c})
		}
	}
}

const oddSize = 25<<20 + 512

// Every format has the same bytes whatever the order and number of workers, is read back, and other programs agree.
func TestFormats(t *testing.T) {
	content, holes := disk(oddSize)
	raw := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(raw, content, 0o600); err != nil {
		t.Fatal(err)
	}
	variants(func(name string, f *container.Format, o container.Options) {
		t.Run(name, func(t *testing.T) {
			path := written(t, f, o, content, holes, false)
			other := written(t, f, o, content, holes, true)
			a, errA := os.ReadFile(path)
			b, errB := os.ReadFile(other)
			if errA != nil || errB != nil || !bytes.Equal(a, b) {
				t.Fatalf("the order of pieces changes the file: %d and %d bytes, %v, %v", len(a), len(b), errA, errB)
			}
			if f.Readable {
				readBack(t, f, a, content)
			}
			judge(t, f, path, raw, content)
		})
	})
}

// readBack compares the disk in a file with its content, in parts that do not match the file's.
func readBack(t *testing.T, f *container.Format, file, content []byte) {
	t.Helper()
	image, err := container.Open(bytes.NewReader(file), int64(len(file)))
	if image == nil && err == nil { // raw
		if !bytes.Equal(file, content) {
			t.Error("the disk differs")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if want := f.DiskSize(int64(len(content))); image.Size() != want {
		t.Fatalf("the disk has %d bytes, want %d", image.Size(), want)
	}
	got := make([]byte, image.Size())
	var all sync.WaitGroup
	const step = 333_333
	for off := int64(0); off < image.Size(); off += step {
		all.Go(func() {
			if n, err := image.ReadAt(got[off:min(image.Size(), off+step)], off); err != nil {
				t.Errorf("read at %d: %d, %v", off, n, err)
			}
		})
	}
	all.Wait()
	if !bytes.Equal(got[:len(content)], content) || !pieces.IsZero(got[len(content):]) {
		t.Error("the disk differs")
	}
	if n, err := image.ReadAt(got[:10], image.Size()-3); n != 3 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	for off := int64(0); off < image.Size(); off += piece / 64 {
		next := image.NextData(off)
		if next < off || next > image.Size() || !pieces.IsZero(got[off:next]) {
			t.Fatalf("after %d the next data is at %d", off, next)
		}
	}
}

// judge asks other programs.
func judge(t *testing.T, f *container.Format, path, raw string, content []byte) {
	t.Helper()
	switch {
	case f.QEMU != "":
		if f.QEMU != "vpc" && f.QEMU != container.Raw { // which qemu-img cannot check
			hosttest.Run(t, "qemu-img", "check", "-f", f.QEMU, path)
		}
		hosttest.Run(t, "qemu-img", "compare", "-f", f.QEMU, "-F", "raw", path, raw)
	case f.Name == "raw.zst":
		sameOutput(t, content, "zstd", "-dc", path)
		hosttest.Run(t, "zstd", "-t", path)
	case f.Name == "raw.gz":
		sameOutput(t, content, "gzip", "-dc", path)
	case f.Name == "raw.xz":
		sameOutput(t, content, "xz", "-dc", path)
		blocks := filepath.Join(t.TempDir(), "disk.xz") // of another program: one stream of several blocks
		hosttest.Run(t, "sh", "-c", `xz -0 -c --block-size=5000000 "$1" > "$2"`, "sh", raw, blocks)
		readBack(t, f, read(t, filepath.Dir(blocks), "disk.xz"), content)
	case f.Name == "gce":
		out := t.TempDir()
		hosttest.Run(t, "tar", "-xSzf", path, "-C", out)
		got, err := os.Open(filepath.Join(out, "disk.raw"))
		if err != nil {
			t.Fatal(err)
		}
		defer got.Close()
		start := make([]byte, len(content)+1<<20)
		if info, err := got.Stat(); err != nil || info.Size() != 1<<30 {
			t.Errorf("tar gives %v, %v", info, err)
		}
		if _, err := got.ReadAt(start, 0); err != nil || !bytes.Equal(start[:len(content)], content) || !pieces.IsZero(start[len(content):]) {
			t.Errorf("tar gives other bytes: %v", err)
		}
		oneMember(t, path)
		expanded(t, path, content, 0)
		gnu := filepath.Join(out, "gnu.tar.gz") // as GNU tar makes it, with holes
		hosttest.Run(t, "tar", "--format=oldgnu", "-C", out, "-Sczf", gnu, "disk.raw")
		expanded(t, gnu, content, 1)
	case f.Name == "ova":
		appliance(t, path, raw)
	case f.Name == "bmap":
		out := filepath.Join(t.TempDir(), "copy")
		hosttest.Run(t, "bmaptool", "copy", "--bmap", path, raw, out)
		if got, err := os.ReadFile(out); err != nil || !bytes.Equal(got, content) {
			t.Errorf("bmaptool copies %d bytes, or others: %v", len(got), err)
		}
	}
}

// expanded checks that an archive can be expanded to a disk of whole GiB with a content, and without the last bytes it cannot.
func expanded(t *testing.T, path string, content []byte, cut int) {
	t.Helper()
	packed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{len(packed), len(packed) - cut} {
		var archive *container.Archive
		if _, err := container.Open(bytes.NewReader(packed), int64(size)); !errors.As(err, &archive) || !strings.Contains(err.Error(), "unpack it first: tar -xSzf") {
			t.Fatalf("open: %v", err)
		}
		disk, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		err = archive.Expand(t.Context(), disk)
		if size < len(packed) {
			if !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("cut short: %v", err)
			}
			return
		}
		if info, fails := disk.Stat(); err != nil || fails != nil || info.Size() != container.Named("gce").DiskSize(int64(len(content))) {
			t.Errorf("%v, %v, %v", info, err, fails)
		}
		start := make([]byte, len(content)+1<<20)
		if _, err := disk.ReadAt(start, 0); err != nil || !bytes.Equal(start[:len(content)], content) || !pieces.IsZero(start[len(content):]) {
			t.Errorf("other bytes: %v", err)
		}
		if cut == 0 {
			return
		}
	}
}

// appliance unpacks a virtual machine and checks its files against its manifest, its description and qemu-img.
func appliance(t *testing.T, path, raw string) {
	t.Helper()
	out := t.TempDir()
	hosttest.Run(t, "tar", "-xf", path, "-C", out)
	if got := hosttest.Run(t, "tar", "-tf", path); got != "web.ovf\nweb.vmdk\nweb.mf\n" {
		t.Errorf("the archive has %q", got)
	}
	for line := range strings.Lines(string(read(t, out, "web.mf"))) {
		name, sum, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "SHA256("), ")= ")
		if got := fmt.Sprintf("%x", sha256.Sum256(read(t, out, name))); got != sum {
			t.Errorf("%s has the hash %s, and the manifest says %s", name, got, sum)
		}
	}
	var ovf struct {
		File struct {
			Size int64 `xml:"size,attr"`
		} `xml:"References>File"`
		Disk struct {
			Capacity int64 `xml:"capacity,attr"`
		} `xml:"DiskSection>Disk"`
		Config []struct {
			Value string `xml:"value,attr"`
		} `xml:"VirtualSystem>VirtualHardwareSection>Config"`
	}
	if err := xml.Unmarshal(read(t, out, "web.ovf"), &ovf); err != nil {
		t.Fatal(err)
	}
	if disk := int64(len(read(t, out, "web.vmdk"))); ovf.File.Size != disk || ovf.Disk.Capacity < oddSize || ovf.Config[0].Value != "efi" {
		t.Errorf("the description says %+v; the disk has %d bytes", ovf, disk)
	}
	hosttest.Run(t, "qemu-img", "compare", "-f", "vmdk", "-F", "raw", filepath.Join(out, "web.vmdk"), raw)
}

func read(t *testing.T, dir, name string) []byte {
	t.Helper()
	p, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sameOutput compares what a command prints.
func sameOutput(t *testing.T, content []byte, tool string, args ...string) {
	t.Helper()
	if got := hosttest.Run(t, tool, args...); got != string(content) {
		t.Errorf("%s gives %d bytes, or others", tool, len(got))
	}
}

// oneMember checks that an archive is one member of gzip, with one file in GNU's format.
func oneMember(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	z.Multistream(false)
	r := tar.NewReader(z)
	if h, err := r.Next(); err != nil || h.Name != "disk.raw" || h.Format != tar.FormatGNU {
		t.Errorf("header %+v, %v", h, err)
	}
	if _, err := r.Next(); err != io.EOF {
		t.Errorf("after the disk: %v", err)
	}
	if _, err := io.Copy(io.Discard, z); err != nil {
		t.Error(err)
	}
	if n, err := f.Read(make([]byte, 1)); n != 0 {
		t.Errorf("bytes follow the member: %v", err)
	}
}

// Names decide by their longest suffix.
func TestBySuffix(t *testing.T) {
	for file, want := range map[string]string{
		"web.raw": "raw", "web.IMG": "raw", "web.iso": "raw", "web.qcow2": "qcow2", "web.raw.zst": "raw.zst", "web.img.gz": "raw.gz",
		"web.gce.tar.gz": "gce", "web.vmdk": "vmdk", "web.stream.vmdk": "vmdk-stream", "web.vhd": "vhd", "web.dynamic.vhd": "vhd-dynamic", "web.vhdx": "vhdx",
		"web.bmap": "bmap", "web.ova": "ova", "web.raw.xz": "raw.xz", "web": "", "web.vdi": "", "qcow2": "",
	} {
		got := ""
		if f := container.BySuffix(file); f != nil {
			got = f.Name
		}
		if got != want {
			t.Errorf("%s is %q, want %q", file, got, want)
		}
	}
}
