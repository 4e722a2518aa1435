package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"imprint/image/disk"
	"imprint/image/imagetest"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/hosttest"
)

// resolved resolves a description.
func resolved(t *testing.T, w imagetest.World, text string) *plan.Plan {
	t.Helper()
	p, err := w.Plan(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// opened opens the disk of a plan until the test ends.
func opened(t *testing.T, p *plan.Plan) *Disk {
	t.Helper()
	d, err := tryOpen(t, p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func tryOpen(t *testing.T, p *plan.Plan) (*Disk, error) {
	t.Helper()
	l, err := p.Layout(nil)
	if err != nil {
		t.Fatal(err)
	}
	prepared, err := write.Prepare(t.Context(), p, l)
	if err != nil {
		return nil, err
	}
	t.Cleanup(prepared.Discard)
	d, err := Layout(t.Context(), prepared)
	if err == nil {
		t.Cleanup(d.Close)
	}
	return d, err
}

// compare compares a disk with the bytes that it should have, wherever it is read, and its holes with zeros.
func compare(t *testing.T, d *Disk, want []byte) {
	t.Helper()
	if d.Size() != int64(len(want)) {
		t.Fatalf("%d bytes, want %d", d.Size(), len(want))
	}
	var all sync.WaitGroup
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 1))
		all.Go(func() {
			for range 300 {
				off := r.Int64N(d.Size())
				p := bytes.Repeat([]byte{0xff}, 1+r.IntN(100_000))
				n, err := d.ReadAt(p, off)
				part := want[off:min(d.Size(), off+int64(len(p)))]
				if !bytes.Equal(p[:n], part) || err != nil && err != io.EOF || n < len(p) && err != io.EOF {
					t.Errorf("%d bytes at %d differ, first at %d: %v", n, off, imagetest.FirstDifference(p[:n], part), err)
				}
			}
		})
	}
	all.Wait()
	for off := int64(0); off < d.Size(); {
		end, data := d.Run(off, d.Size())
		if end <= off || !data && len(bytes.Trim(want[off:end], "\x00")) > 0 {
			t.Fatalf("bytes %d to %d are no hole", off, end)
		}
		off = end
	}
	whole := make([]byte, d.Size())
	if _, err := d.ReadAt(whole, 0); err != nil || !bytes.Equal(whole, want) {
		t.Errorf("the disk as a whole differs at %d: %v", imagetest.FirstDifference(whole, want), err)
	}
}

// What is served has the bytes that are built, and everything that is read is compared with its hash.
func TestLayout(t *testing.T) {
	w, system := imagetest.Boot(t)
	p := resolved(t, w, fmt.Sprintf(imagetest.Bootable, system))
	want, _, _ := imagetest.Build(t, p, write.Options{})
	d := opened(t, p)
	compare(t, d, want)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		read, checked := d.Checked()
		if read >= 6 && read == checked { // three items; files that the description names
			break
		}
		if time.Since(start) > 10*time.Second {
			t.Fatalf("%d were read, %d are checked", read, checked)
		}
	}
	if err := d.Err(); err != nil {
		t.Error(err)
	}
	for _, s := range d.Shares() {
		if s.Read != s.Data || s.Data == 0 {
			t.Errorf("%s: %d of %d were read", s.Name, s.Read, s.Data)
		}
	}
}

// Regions that host tools make are made first, and have the same bytes as well.
func TestHostTools(t *testing.T) {
	hosttest.Need(t, "mke2fs", "debugfs", "e2fsck", "sqfstar")
	for name, instead := range map[string]string{
		"filled": "filesystem = \"ext4\"\nengine = \"mke2fs\"\nfree = \"10%\"", "packed": `filesystem = "squashfs"`,
	} {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			text := strings.Replace(fmt.Sprintf(imagetest.Bootable, system), "filesystem = \"ext4\"\nfree = \"10%\"", instead, 1)
			text = strings.Replace(text, "${partition.root.uuid}", "", 1) // which a squashfs has none of
			p := resolved(t, w, text)
			want, _, _ := imagetest.Build(t, p, write.Options{})
			compare(t, opened(t, p), want)
			left, err := filepath.Glob(w.Dir + "/.imprint*")
			if err != nil || len(left) != 1 { // until the end of the test
				t.Errorf("scratch directories: %q, %v", left, err)
			}
		})
	}
}

// Few bytes of a disk cost few: shares count what was read, and not what holes hold.
func TestShares(t *testing.T) {
	w, system := imagetest.Boot(t)
	d := opened(t, resolved(t, w, fmt.Sprintf(imagetest.Bootable, system)))
	if n, err := d.ReadAt(make([]byte, 512), 0); n != 512 || err != nil {
		t.Fatal(err)
	}
	for _, r := range d.regions[1:2] {
		if _, err := d.ReadAt(make([]byte, 3*unit), r.parts[0].Off+1); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range []int64{5 * unit, 0, 4 * unit, 0} {
		if s := d.Shares()[i]; s.Read != want || s.Data <= 0 {
			t.Errorf("%s: %d of %d were read, want %d", s.Name, s.Read, s.Data, want)
		}
	}
}

// A source that changes while it is served fails the read that meets it, and ends the disk.
func TestChanges(t *testing.T) {
	const lib = "/lib.so"
	swap := func(w imagetest.World, name, content string) { // as an editor saves a file
		w.File(name+".new", content)
		if err := os.Rename(filepath.Join(w.Dir, name+".new"), filepath.Join(w.Dir, name)); err != nil {
			panic(err)
		}
	}
	later := time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		change func(w imagetest.World)
		names  string
	}{
		"written":        {func(w imagetest.World) { w.File("store"+w.Path("lib")+lib, strings.Repeat("LIB", 3000)) }, "-lib"},
		"swapped":        {func(w imagetest.World) { swap(w, "store"+w.Path("lib")+lib, strings.Repeat("LIB", 3000)) }, "-lib"},
		"same content":   {func(w imagetest.World) { swap(w, "store"+w.Path("lib")+lib, strings.Repeat("lib", 3000)) }, "-lib"},
		"shorter":        {func(w imagetest.World) { w.File("store"+w.Path("lib")+lib, "lib") }, "-lib"},
		"gone":           {func(w imagetest.World) { os.Remove(w.Dir + "/store" + w.Path("lib") + lib) }, "is gone"},
		"the item":       {func(w imagetest.World) { os.RemoveAll(w.Dir + "/store" + w.Path("lib")) }, "-lib"},
		"time":           {func(w imagetest.World) { os.Chtimes(w.Dir+"/store"+w.Path("lib")+lib, later, later) }, "-lib"},
		"mode":           {func(w imagetest.World) { os.Chmod(w.Dir+"/store"+w.Path("lib")+lib, 0o600) }, "-lib"},
		"a host file":    {func(w imagetest.World) { w.File("blob.bin", strings.Repeat("y", 100_000)) }, "blob.bin"},
		"of a host tree": {func(w imagetest.World) { w.File("rootfs/etc/hosts", "127.0.0.3 localhost\n") }, "rootfs/etc/hosts"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, system := imagetest.Boot(t)
			d := opened(t, resolved(t, w, fmt.Sprintf(imagetest.Bootable, system)))
			whole := make([]byte, d.Size())
			if _, err := d.ReadAt(whole[:1<<20], 0); err != nil {
				t.Fatal(err)
			}
			test.change(w)
			_, err := d.ReadAt(whole, 0)
			if !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), test.names) {
				t.Errorf("the read gives %v, without %q", err, test.names)
			}
			select {
			case <-d.Ended():
			default:
				t.Error("the disk has not ended")
			}
			if _, again := d.ReadAt(whole[:1], 0); !errors.Is(again, write.ErrMismatch) {
				t.Errorf("another read gives %v", again)
			}
		})
	}
}

// A file that was wrong before the disk was opened is found by the hash of its item, after it was read, or before with Verify.
func TestWrongFromTheStart(t *testing.T) {
	for name, change := range map[string]func(w imagetest.World){
		"of an item":  func(w imagetest.World) { w.File("store"+w.Path("lib")+"/lib.so", strings.Repeat("LIB", 3000)) },
		"of the host": func(w imagetest.World) { w.File("blob.bin", strings.Repeat("y", 100_000)) },
	} {
		t.Run(name, func(t *testing.T) {
			w, system := imagetest.Boot(t)
			p := resolved(t, w, fmt.Sprintf(imagetest.Bootable, system))
			change(w)
			d := opened(t, p)
			if _, err := d.ReadAt(make([]byte, d.Size()), 0); err != nil && !errors.Is(err, write.ErrMismatch) {
				t.Fatal(err) // the check may be first
			}
			select {
			case <-d.Ended():
			case <-time.After(10 * time.Second):
				t.Fatal("nobody has noticed")
			}
			if err := d.Err(); !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), "has changed") {
				t.Errorf("the disk ends with %v", err)
			}
			if err := opened(t, p).Verify(context.Background()); !errors.Is(err, write.ErrMismatch) {
				t.Errorf("Verify gives %v", err)
			}
		})
	}
}

// An item without any file has nothing that could be read: it is checked at once.
func TestItemWithoutFiles(t *testing.T) {
	w := imagetest.New(t)
	link := w.Item("link", nil, map[string]string{"a": "-> nowhere"})
	text := fmt.Sprintf("[[closure]]\nname = \"c\"\nroots = [%q]\n[[partition]]\nname = \"root\"\ntype = \"root\"\nfilesystem = \"ext4\"\nclosures = [\"c\"]\n", link)
	p := resolved(t, w, text)
	opened(t, p)
	p.Items[0].Info.NARHash[0] ^= 1
	if _, err := tryOpen(t, p); !errors.Is(err, write.ErrMismatch) {
		t.Errorf("opened with %v", err)
	}
}

// Two disks with the same bytes have the same identity, wherever their sources are, and any change makes another one.
func TestIdentity(t *testing.T) {
	identity := func(change func(imagetest.World), edit ...string) Identity {
		w, system := imagetest.Boot(t)
		change(w)
		text := "seed = \"fixed\"\n" + strings.NewReplacer(edit...).Replace(fmt.Sprintf(imagetest.Bootable, system))
		id, err := opened(t, resolved(t, w, text)).Identity()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	none := func(imagetest.World) {}
	first := identity(none)
	if identity(none) != first {
		t.Error("the same disk has another identity")
	}
	long := strings.Repeat("x", 100)
	for what, other := range map[string]Identity{
		"host file": identity(func(w imagetest.World) { w.File("blob.bin", strings.Repeat("y", 100_000)) }),
		"host tree": identity(func(w imagetest.World) { w.File("rootfs/etc/hosts", "127.0.0.9 localhost\n") }),
		"name":      identity(func(w imagetest.World) { w.File("rootfs/etc/other", "127.0.0.1 localhost\n") }),
		"link":      identity(none, "/run/booted", "/run/other"),
		"text":      identity(none, "$$HOME", long),
		"long text": identity(none, "$$HOME", long[:99]+"y"),
	} {
		if other == first {
			t.Errorf("%s: the identity is the same", what)
		}
		first = other // and differs from the next, most likely
	}
}

// An image in a file is served by the same rules.
func TestFile(t *testing.T) {
	w, system := imagetest.Boot(t)
	want, _, _ := imagetest.Build(t, resolved(t, w, fmt.Sprintf(imagetest.Bootable, system)), write.Options{})
	path := filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	open := func(digest string) *Disk {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		image, err := disk.Open(f, int64(len(want)))
		if err != nil {
			t.Fatal(err)
		}
		d, err := File(path, image, digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.Close)
		return d
	}
	d := open("")
	compare(t, d, want)
	if s := d.Shares(); len(s) != 4 || s[0].Read != s[0].Data {
		t.Errorf("shares: %v", s)
	}
	before, _ := d.Identity()
	same, _ := open("digest").Identity()
	os.Chtimes(path, time.Unix(1, 0), time.Unix(1, 0))
	if _, err := d.ReadAt(make([]byte, 1), 0); !errors.Is(err, write.ErrMismatch) || !strings.Contains(err.Error(), path) {
		t.Errorf("a read of a changed image gives %v", err)
	}
	if after, _ := open("").Identity(); after == before {
		t.Error("a changed image has the same identity")
	}
	if still, _ := open("digest").Identity(); still != same {
		t.Error("an image with a digest has another identity")
	}
}
