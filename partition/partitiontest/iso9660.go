package partitiontest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"imprint/internal/hosttest"
	"imprint/internal/hosttool"
	"imprint/internal/tree"
)

// ISO9660 reads the region with bsdtar, and the volume ID with isoinfo. Nothing is free in an ISO.
func ISO9660(t testing.TB, r Region) Snapshot {
	t.Helper()
	hosttest.Need(t, "bsdtar", "isoinfo")
	b := bsdtar{t, r.alone(t), map[string]Entry{}}
	b.attributes()
	b.contents()
	s := Snapshot{Entries: b.entries}
	for line := range strings.Lines(hosttest.Run(t, "isoinfo", "-d", "-i", b.image)) {
		if id, ok := strings.CutPrefix(line, "Volume id: "); ok {
			s.Label = strings.TrimSpace(id)
		}
	}
	return s
}

// bsdtar reads one image twice: as a tar archive, which shows the names of one file, and as an mtree specification, which has what a tar
// archive lacks.
type bsdtar struct {
	testing.TB
	image   string
	entries map[string]Entry
}

func (b bsdtar) convert(args ...string) []byte {
	b.Helper()
	out, err := hosttool.Run(b.Context(), hosttool.Command{Name: "bsdtar", Args: append(append([]string{"-cf", "-"}, args...), "@"+b.image), Limit: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	return out.Output
}

var mtreeKinds = map[string]tree.Kind{
	"file": tree.File, "dir": tree.Dir, "link": tree.Symlink, "char": tree.CharDevice, "block": tree.BlockDevice, "fifo": tree.Fifo, "socket": tree.Socket,
}

// attributes reads everything but the contents of files and the number of their names.
func (b bsdtar) attributes() {
	for line := range strings.Lines(string(b.convert("--format=mtree", "--options=!all,type,mode,uid,gid,time,link,device"))) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#mtree" {
			continue
		}
		path := "/" + strings.TrimPrefix(strings.TrimPrefix(unvis(words[0]), "."), "/")
		e := Entry{Links: 1, First: path}
		for _, w := range words[1:] {
			key, value, _ := strings.Cut(w, "=")
			b.attribute(&e, key, value)
		}
		if e.Kind == tree.Dir {
			e.Links, e.First = 0, ""
		}
		b.entries[path] = e
	}
}

func (b bsdtar) attribute(e *Entry, key, value string) {
	number := func(text string, base int) int64 {
		n, err := strconv.ParseInt(text, base, 64)
		if err != nil {
			b.Fatal(err)
		}
		return n
	}
	switch key {
	case "type":
		e.Kind = mtreeKinds[value]
	case "mode":
		e.Mode = uint16(number(value, 8))
	case "uid":
		e.UID = uint32(number(value, 10))
	case "gid":
		e.GID = uint32(number(value, 10))
	case "time":
		sec, _, _ := strings.Cut(value, ".")
		e.Mtime.Sec = number(sec, 10)
	case "link":
		e.Target = unvis(value)
		e.Size = int64(len(e.Target))
	case "device":
		parts := strings.Split(value, ",") // native,MAJOR,MINOR
		e.Device = isoDevice(uint64(number(parts[1], 10)), uint64(number(parts[2], 10)))
	}
}

// isoDevice returns the number of a device as Linux decodes it (fs/isofs/rock.c), from bsdtar's reading of both fields as one dev_t of the C
// library: a first field that is not 0 is the major number, and the second the minor one.
func isoDevice(major, minor uint64) tree.Device {
	dev := minor&0xff | major&0xfff<<8 | minor&^0xff<<12 | major&^0xfff<<32
	if high := dev >> 32; high > 0 {
		return tree.Device{Major: uint32(high), Minor: uint32(dev)}
	}
	return tree.Device{Major: uint32(dev >> 8), Minor: uint32(dev & 0xff)}
}

var octal = regexp.MustCompile(`\\[0-3][0-7]{2}`)

// unvis reads a word of an mtree specification.
func unvis(word string) string {
	return octal.ReplaceAllStringFunc(word, func(s string) string {
		n, _ := strconv.ParseUint(s[1:], 8, 8)
		return string([]byte{byte(n)})
	})
}

// contents reads the contents of files, and which names belong to one file.
func (b bsdtar) contents() {
	r, names := tar.NewReader(bytes.NewReader(b.convert("--format=gnutar"))), map[string][]string{}
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		path, target := "/"+strings.TrimPrefix(h.Name, "./"), "/"+strings.TrimPrefix(h.Linkname, "./")
		switch h.Typeflag {
		case tar.TypeLink:
			names[target] = append(names[target], path)
		case tar.TypeReg:
			e := b.entries[path]
			e.Size, e.Content = h.Size, digest(r)
			b.entries[path] = e
			names[path] = append(names[path], path)
		}
	}
	linkNames(b.entries, names)
}
