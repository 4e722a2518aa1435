package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/klauspost/compress/gzip"
)

// bases returns the contenders that begin with the image of a container: the tree of the workload as one layer, compressed with gzip.
func (o options) bases() []contender {
	return []contender{
		{name: "oci", title: "imprint, a disk of that tree as a container image, the whole job", tools: []string{"tar", "gzip"}, command: o.base(false)},
		{name: "oci-kept", title: "the same for the second time, from the build store", tools: []string{"tar", "gzip"}, command: o.base(true)},
		{name: "oci-floor", title: "unpacking and hashing its layer, nothing else", tools: []string{"tar", "gzip"}, command: func(w workload, out string) (*exec.Cmd, error) {
			i, err := w.image()
			if err != nil {
				return nil, err
			}
			self, err := os.Executable()
			if err != nil {
				return nil, err
			}
			return exec.Command(self, "unpack", i.layer), emptyDisk(out)
		}},
		{name: "tar2ext4", title: "hcsshim's tar2ext4 of that layer, a file system without a disk and without hashes", tools: []string{"tar", "gzip"}, command: o.tar2ext4},
	}
}

// A containerImage is an image in a layout.
type containerImage struct {
	from  string // as a description names it
	layer string // the file of its layer
}

// image makes the container image of a workload unless it is there.
func (w workload) image() (i containerImage, err error) {
	dir, kept := w.path("image"), w.path("image/image.json")
	if text, err := os.ReadFile(kept); err == nil {
		var names [2]string
		err = json.Unmarshal(text, &names)
		return containerImage{names[0], names[1]}, err
	}
	blobs := filepath.Join(dir, "blobs/sha256")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return i, err
	}
	packed := filepath.Join(dir, "layer.tar.gz")
	pack := fmt.Sprintf("tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@1 -C %q -c . | gzip -n >%q", w.path("root"), packed)
	if out, err := exec.Command("sh", "-ec", pack).CombinedOutput(); err != nil {
		return i, fmt.Errorf("make a layer: %v\n%s", err, out)
	}
	sum, plain, err := unpackAndHash(packed)
	if err != nil {
		return i, err
	}
	i.layer = filepath.Join(blobs, sum)
	if err := os.Rename(packed, i.layer); err != nil {
		return i, err
	}
	put := func(document any) (string, error) {
		text, err := json.Marshal(document)
		if err != nil {
			return "", err
		}
		digest := sha256.Sum256(text)
		name := hex.EncodeToString(digest[:])
		return "sha256:" + name, os.WriteFile(filepath.Join(blobs, name), text, 0o644)
	}
	type object = map[string]any
	config, err := put(object{"os": "linux", "architecture": "amd64", "rootfs": object{"type": "layers", "diff_ids": []string{"sha256:" + plain}}})
	if err != nil {
		return i, err
	}
	manifest, err := put(object{"schemaVersion": 2, "config": object{"digest": config}, "layers": []object{{"digest": "sha256:" + sum}}})
	if err != nil {
		return i, err
	}
	i.from = fmt.Sprintf("oci-layout:%s@%s", dir, manifest)
	text, err := json.Marshal([2]string{i.from, i.layer})
	if err == nil {
		err = os.WriteFile(kept, text, 0o644)
	}
	return i, err
}

// unpackAndHash returns the SHA-256 of a compressed file and of what it unpacks to.
func unpackAndHash(path string) (packed, plain string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	outer, inner := sha256.New(), sha256.New()
	r, err := gzip.NewReader(bufio.NewReaderSize(io.TeeReader(f, outer), 256<<10))
	if err != nil {
		return "", "", err
	}
	_, err = io.CopyBuffer(inner, struct{ io.Reader }{r}, make([]byte, 1<<20))
	return hex.EncodeToString(outer.Sum(nil)), hex.EncodeToString(inner.Sum(nil)), err
}

// base builds a disk of the container image: with an empty build store, or with one that has it.
func (o options) base(kept bool) func(workload, string) (*exec.Cmd, error) {
	return func(w workload, out string) (*exec.Cmd, error) {
		i, err := w.image()
		if err != nil {
			return nil, err
		}
		file, store := filepath.Join(out, "image.toml"), filepath.Join(out, "build-store")
		if kept {
			store = filepath.Join(filepath.Dir(out), "kept")
		}
		text := fmt.Sprintf("name = \"bench\"\narch = \"x86_64\"\n[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\n[[partition.layer]]\nfrom = %q\n", i.from)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return nil, err
		}
		if kept {
			if said, err := exec.Command(o.program, "plan", file, "--build-store", store).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("%v\n%.2000s", err, said)
			}
		}
		return exec.Command(o.program, "build", file, "--build-store", store, "-o", filepath.Join(out, "disk.raw")), nil
	}
}

// tar2ext4 makes a file system of the layer with hcsshim's converter, a module of its own, since it has so many others.
func (o options) tar2ext4(w workload, out string) (*exec.Cmd, error) {
	i, err := w.image()
	if err != nil {
		return nil, err
	}
	program := filepath.Join(o.dir, "tar2ext4")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = "bench/tar2ext4"
	if said, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build tar2ext4: %v\n%.2000s", err, said)
	}
	return exec.Command(program, i.layer, filepath.Join(out, "disk.raw")), nil
}
