package hosttree

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/tree"
)

// Sparse entries of GNU tar are read as package archive/tar reads them.
func TestTarOfGNUTar(t *testing.T) {
	hosttest.Need(t, "tar")
	top := t.TempDir()
	writeSparse(t, filepath.Join(top, "sparse"), 40)
	writeSparse(t, filepath.Join(top, "one"), 1)
	if err := os.Truncate(filepath.Join(top, "one"), 1<<20); err != nil {
		t.Fatal(err)
	}
	grow(t, top, 3)
	file := filepath.Join(t.TempDir(), "a.tar")
	for _, args := range [][]string{
		{"--format=v7", "--exclude=*-package-*"}, {"--format=ustar"}, {"--format=gnu", "--label=name"},
		{"--format=oldgnu", "--sparse"}, {"--format=gnu", "--sparse"},
		{"--format=posix", "--sparse", "--sparse-version=0.0"}, {"--format=posix", "--sparse", "--sparse-version=0.1"},
		{"--format=posix", "--sparse", "--sparse-version=1.0", "--xattrs"},
	} {
		hosttest.Run(t, "tar", append([]string{"-cf", file, "-C", top}, append(args, ".")...)...)
		entries, err := Tar(file, TarOptions{})
		if err != nil {
			t.Errorf("%q: %v", args, err)
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, data, entries)
		checkSparse(t, entries, slices.Contains(args, "--sparse"))
	}
}

// writeSparse makes a file with the given number of pieces of data.
func writeSparse(t testing.TB, path string, pieces int) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range pieces {
		if _, err := fmt.Fprintf(io.NewOffsetWriter(f, int64(i)<<16), "piece %d", i); err != nil {
			t.Fatal(err)
		}
	}
}

func checkSparse(t testing.TB, entries []Entry, sparse bool) {
	t.Helper()
	for _, e := range entries {
		s, ok := e.Node.Blob().(tree.SparseBlob)
		if e.Path != "/sparse" && e.Path != "/one" {
			continue
		}
		if ok != sparse {
			t.Errorf("%s is sparse: %v", e.Path, ok)
		}
		if sparse && e.Path == "/sparse" && len(s.Data()) != 40 {
			t.Errorf("%d ranges of data, 40 were written", len(s.Data()))
		}
	}
}

// compare reads the contents again with package archive/tar.
func compare(t testing.TB, data []byte, entries []Entry) {
	t.Helper()
	contents := map[string][]byte{}
	for r := tar.NewReader(bytes.NewReader(data)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		path, _ := cleanName(h.Name)
		delete(contents, path)
		if kind, ok := typeKinds[h.Typeflag]; !ok || kind != tree.File || h.Size > 1<<22 {
			continue
		}
		if contents[path], err = io.ReadAll(r); err != nil {
			t.Fatalf("%s: %v", h.Name, err)
		}
	}
	for _, e := range entries {
		want, ok := contents[e.Path]
		if e.Node.Kind() != tree.File || !ok {
			continue
		}
		if got := content(t, e.Node.Blob()); !bytes.Equal(got, want) {
			t.Fatalf("%s: %d bytes differ from the %d of archive/tar", e.Path, len(got), len(want))
		}
	}
}

// The entries of any archive can be put into a tree, and their contents are those that archive/tar reads.
func FuzzTar(f *testing.F) {
	f.Add(packed(f, folder("d/"), reg("d/f"), hard("h", "d/f"), soft("s", "t"), reg("d/f")))
	f.Add(packed(f, other(tar.TypeFifo, "p"), reg(strings.Repeat("n/", 90)+"n")))
	for _, form := range []string{"oldgnu", "0.0", "0.1", "1.0"} {
		f.Add(sparseArchive(form))
	}
	hosttest.Fuzz(f, func(t *testing.T, data []byte) {
		data = slices.Clone(data)
		for b := data; len(b) >= blockSize; b = b[blockSize:] {
			if string(b[257:262]) == "ustar" {
				sign(b) // else hardly any mutation gets past the checksum
			}
		}
		entries, err := unpacked(data, TarOptions{Special: true})
		if err != nil {
			return
		}
		small := slices.DeleteFunc(slices.Clone(entries), func(e Entry) bool { return e.Node.Size() > 1<<22 })
		compare(t, data, small)
		b := tree.NewBuilder(&tree.Attr{})
		for _, e := range entries {
			if err := b.Add(e.Path, e.Node, ""); err != nil {
				t.Fatalf("%s: %v", e.Path, err)
			}
		}
		if _, err := b.Tree(); err != nil {
			t.Fatal(err)
		}
	})
}

// sign puts the checksum into a header.
func sign(block []byte) {
	copy(block[148:], "        ")
	sum := 0
	for _, c := range block[:blockSize] {
		sum += int(c)
	}
	copy(block[148:], fmt.Sprintf("%06o\x00 ", sum))
}

// sparseArchive is an archive with one sparse file: "abc" at 1000 and "de" at 5000 of 6000 bytes.
func sparseArchive(form string) []byte {
	var out bytes.Buffer
	head := func(name string, typ byte, size int, old bool) {
		b := make([]byte, 512)
		copy(b, name)
		copy(b[100:], "0000644\x000000000\x000000000\x00")
		copy(b[124:], fmt.Sprintf("%011o\x0000000000000\x00", size))
		b[156] = typ
		copy(b[257:], "ustar\x0000")
		if old {
			copy(b[257:], "ustar  \x00")
			copy(b[386:], fmt.Sprintf("%011o\x00%011o\x00%011o\x00%011o\x00", 1000, 3, 5000, 2))
			copy(b[483:], fmt.Sprintf("%011o\x00", 6000))
		}
		sign(b)
		out.Write(b)
	}
	body := func(s string) { out.WriteString(s + strings.Repeat("\x00", -len(s)&511)) }
	records := func(pairs ...string) {
		var s string
		for _, p := range pairs {
			n := len(p) + 3
			for len(fmt.Sprint(n))+len(p)+2 != n {
				n++
			}
			s += fmt.Sprintf("%d %s\n", n, p)
		}
		head("pax", tar.TypeXHeader, len(s), false)
		body(s)
	}
	switch form {
	case "oldgnu":
		head("f", tar.TypeGNUSparse, 5, true)
		body("abcde")
	case "0.0":
		records("GNU.sparse.size=6000", "GNU.sparse.numblocks=2", "GNU.sparse.offset=1000", "GNU.sparse.numbytes=3",
			"GNU.sparse.offset=5000", "GNU.sparse.numbytes=2")
		head("f", tar.TypeReg, 5, false)
		body("abcde")
	case "0.1":
		records("GNU.sparse.size=6000", "GNU.sparse.numblocks=2", "GNU.sparse.name=f", "GNU.sparse.map=1000,3,5000,2")
		head("GNUSparseFile.0/f", tar.TypeReg, 5, false)
		body("abcde")
	case "1.0":
		records("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=f", "GNU.sparse.realsize=6000")
		head("GNUSparseFile.0/f", tar.TypeReg, 512+5, false)
		body("2\n1000\n3\n5000\n2\n")
		body("abcde")
	}
	out.Write(make([]byte, 1024))
	return out.Bytes()
}

func TestTarSparse(t *testing.T) {
	for _, form := range []string{"oldgnu", "0.0", "0.1", "1.0"} {
		data := sparseArchive(form)
		entries, err := unpacked(data, TarOptions{})
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		want := make([]byte, 6000)
		copy(want[1000:], "abc")
		copy(want[5000:], "de")
		blob := entries[0].Node.Blob().(tree.SparseBlob)
		if got := content(t, blob); entries[0].Path != "/f" || !bytes.Equal(got, want) {
			t.Errorf("%s: %s with %q", form, entries[0].Path, got)
		}
		if !slices.Equal(blob.Data(), []tree.Range{{Off: 1000, Len: 3}, {Off: 5000, Len: 2}}) {
			t.Errorf("%s: data %v", form, blob.Data())
		}
		r, _ := blob.Open()
		p := make([]byte, 4)
		if n, err := r.ReadAt(p, 999); n != 4 || err != nil || string(p) != "\x00abc" {
			t.Errorf("%s: ReadAt returned %d, %v, %q", form, n, err, p)
		}
		if _, err := unpacked(bytes.Replace(data, []byte("5000"), []byte("7000"), 1), TarOptions{}); err == nil && form != "oldgnu" {
			t.Errorf("%s: a map past the end was taken", form)
		}
	}
}

// The content of a sparse entry is not read where the map has a hole.
func TestTarSparseSkipsHoles(t *testing.T) {
	s := &sparseSlice{archive: &archive{bytes.NewReader([]byte("ab")), "memory.tar", 2}, size: 1 << 40}
	if _, err := s.place([]int64{1 << 30, 1, 1 << 39, 1}, 0); err != nil {
		t.Fatal(err)
	}
	p := tree.NewPinner()
	if err := tree.Copy(context.Background(), p, s, nil); err != nil {
		t.Fatal(err)
	}
	plain := tree.NewPinner()
	plain.WriteZeros(1 << 30)
	plain.Write([]byte("a"))
	plain.WriteZeros(1<<39 - 1<<30 - 1)
	plain.Write([]byte("b"))
	plain.WriteZeros(1<<40 - 1<<39 - 1)
	if p.Pin() != plain.Pin() {
		t.Error("the pin depends on the map")
	}
}
