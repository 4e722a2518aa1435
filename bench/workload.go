package main

import (
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"imprint/internal/demostore"
)

// A shape is the size of a workload. File sizes follow quantiles; a tenth of the files are copies of others.
type shape struct {
	name    string
	items   int
	files   int
	huge    []int64 // sizes of additional files, in bytes
	links   int     // symlinks
	dirs    int
	aboutMB int // approximate size, for messages and to touch memory
}

// The shapes are those of real systems: S is a container, M a small server, L a desktop.
var shapes = []shape{
	{name: "S", items: 150, files: 4_000, links: 1_200, dirs: 1_700, aboutMB: 130},
	{name: "M", items: 550, files: 31_500, links: 9_500, dirs: 13_500, aboutMB: 1_060},
	{name: "L", items: 1_800, files: 150_000, huge: []int64{220e6, 310e6, 480e6}, links: 45_000, dirs: 64_000, aboutMB: 6_000},
}

// quantiles are those of file sizes in real package trees: the share of files that have at most so many bytes.
var quantiles = []struct{ share, bytes float64 }{
	{0, 1}, {.10, 347}, {.25, 979}, {.50, 3_000}, {.75, 11_775}, {.90, 35_136}, {.95, 73_808}, {.99, 351_432}, {.9995, 2e6}, {1, 62e6},
}

// sizeAt returns the size in bytes that a share of the files does not exceed, interpolated between the logarithms of two quantiles.
func sizeAt(share float64) int64 {
	for i, q := range quantiles[1:] {
		if p := quantiles[i]; share <= q.share {
			at := (share - p.share) / (q.share - p.share)
			return int64(math.Round(p.bytes * math.Pow(q.bytes/p.bytes, at)))
		}
	}
	panic("share over 1")
}

// A workload is a directory with root (a tree with nix/store and the usual empty directories), esp (the contents of the ESP), store-paths
// and registration.
type workload struct {
	shape
	dir string
}

// prepare makes a workload below dir unless it exists.
func prepare(dir string, s shape) (workload, error) {
	w := workload{s, filepath.Join(dir, "workload", s.name)}
	if _, err := os.Stat(w.path("registration")); err == nil {
		return w, nil
	}
	if err := os.RemoveAll(w.dir); err != nil {
		return w, err
	}
	return w, w.make()
}

func (w workload) path(name string) string { return filepath.Join(w.dir, name) }

func (w workload) make() error {
	for _, dir := range []string{"boot", "dev", "etc", "home", "mnt", "proc", "root", "run", "sys", "tmp", "usr", "var"} {
		if err := os.MkdirAll(w.path("root/"+dir), 0o755); err != nil {
			return err
		}
	}
	if err := w.makeESP(); err != nil {
		return err
	}
	store, err := demostore.Create(w.path("root"), demostore.Nix)
	if err != nil {
		return err
	}
	if err := fill(store, w.shape); err != nil {
		return err
	}
	var paths strings.Builder
	for _, i := range store.Items() {
		paths.WriteString(i.Path + "\n")
	}
	if err := os.WriteFile(w.path("store-paths"), []byte(paths.String()), 0o644); err != nil {
		return err
	}
	return os.WriteFile(w.path("registration"), []byte(store.Registration()), 0o644)
}

// makeESP makes files of the size of a boot loader, a kernel and an initrd.
func (w workload) makeESP() error {
	if err := os.MkdirAll(w.path("esp/EFI/BOOT"), 0o755); err != nil {
		return err
	}
	for name, size := range map[string]int64{"EFI/BOOT/BOOTX64.EFI": 122_880, "linux": 14e6, "initrd": 18e6} {
		if err := writeNoise(w.path("esp/"+name), uint64(size), size); err != nil {
			return err
		}
	}
	return nil
}

// writeNoise writes incompressible bytes that follow from the seed.
func writeNoise(path string, seed uint64, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	noise := rand.NewChaCha8(key)
	buf := make([]byte, min(size, 1<<20))
	for left := size; left > 0; {
		n := min(left, int64(len(buf)))
		noise.Read(buf[:n])
		if _, err := f.Write(buf[:n]); err != nil {
			return err
		}
		left -= n
	}
	return f.Close()
}
