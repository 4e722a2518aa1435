package inspect

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"imprint/closure"
	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/write"
)

// A database whose log holds more is said to be read without it.
func TestUnreadLog(t *testing.T) {
	image := storeImage(t, "ext4", 1, `[[partition.file]]
path = "/nix/var/nix/db/db.sqlite-wal"
text = "frames"
`)
	d, err := disk.Open(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Of(t.Context(), d, Options{})
	if err != nil || len(r.Regions[1].Stores) != 1 || r.Regions[1].Error != "store database: 6 bytes of its write-ahead log were not read" {
		t.Errorf("%v, %q", err, r.Regions[1].Error)
	}
	var faults []string
	if err := d.Verify(t.Context(), func(f disk.Fault) { faults = append(faults, f.String()) }); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, `db.sqlite-wal": store database: 6 bytes`) }) {
		t.Errorf("faults %q", faults)
	}
}

// storeImage returns an image with n store items on the file system, each of which refers to the next.
func storeImage(t testing.TB, filesystem string, items int, more ...string) []byte {
	t.Helper()
	w := imagetest.New(t)
	var refs []string
	var last string
	for n := range items {
		files := map[string]string{}
		for k := range 10 {
			files[fmt.Sprintf("share/%d", k)] = strings.Repeat(fmt.Sprint(n, k), 50)
		}
		last = w.Item(fmt.Sprintf("item-%d", n), refs, files)
		refs = []string{last}
	}
	p, err := w.Plan(fmt.Sprintf(`
[[closure]]
name = "system"
roots = [%q]
profile = "system"
[[partition]]
name = "esp"
type = "esp"
filesystem = "fat"
size = "4MiB"
[[partition.file]]
path = "/loader/entries/one.conf"
text = """title One
linux /k
options quiet
"""
[[partition]]
name = "root"
type = "root"
filesystem = %q
closures = ["system"]
%s`, last, filesystem, strings.Join(more, "")))
	if err != nil {
		t.Fatal(err)
	}
	image, _, _ := imagetest.Build(t, p, write.Options{})
	return image
}

// A counter counts the bytes that are read.
type counter struct {
	io.ReaderAt
	n int
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.n += len(p)
	return c.ReaderAt.ReadAt(p, off)
}

// What a store's database says needs nothing of the items: of an image with many, a small part is read.
func TestOutlineReadsNoItems(t *testing.T) {
	for _, filesystem := range []string{"ext4", "erofs"} {
		t.Run(filesystem, func(t *testing.T) {
			image := storeImage(t, filesystem, 300)
			whole, part := counter{ReaderAt: bytes.NewReader(image)}, counter{ReaderAt: bytes.NewReader(image)}
			if _, err := disk.Open(&whole, int64(len(image))); err != nil {
				t.Fatal(err)
			}
			d, err := disk.Outline(&part, int64(len(image)))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(d.Regions[1].Volume.Tree.Find(closure.Nix.StoreDir).Children()); n != 0 {
				t.Errorf("%d items were listed", n)
			}
			if part.n > whole.n/2 {
				t.Errorf("%d bytes were read, of all structure %d", part.n, whole.n)
			}
			r, err := Of(t.Context(), d, Options{Graph: true})
			if err != nil {
				t.Fatal(err)
			}
			s := r.Regions[1].Stores[0]
			if s.Items != 300 || len(s.Roots) == 0 || s.Roots[0].Items != 300 || s.Roots[0].Closure != s.Bytes || s.Roots[0].Error != "" || len(s.Largest) != 10 {
				t.Errorf("%+v", s)
			}
			if b := r.Regions[0].Boot; len(b) != 1 || b[0].Title != "One" || b[0].Cmdline != "quiet" {
				t.Errorf("boot entries %+v", b)
			}
		})
	}
}

// Whatever bytes of an image are others, it is described or refused, without a panic.
func TestDamagedImages(t *testing.T) {
	image := storeImage(t, "ext4", 5)
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		spoiled := bytes.Clone(image)
		for range 1 + random.IntN(20) {
			spoiled[random.IntN(len(spoiled))] = byte(random.Uint32())
		}
		// Most bytes are contents or free: some of the structures, too.
		for _, at := range []int{512, 1024, 1 << 20, 5<<20 + 1024, 5<<20 + 4096} {
			if random.IntN(3) == 0 {
				spoiled[at+random.IntN(512)] ^= 1 << random.IntN(8)
			}
		}
		d, err := disk.Open(bytes.NewReader(spoiled), int64(len(spoiled)))
		if err != nil {
			continue
		}
		r, err := Of(t.Context(), d, Options{Deep: true, Graph: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Text(io.Discard, "image"); err != nil {
			t.Fatal(err)
		}
	}
}
