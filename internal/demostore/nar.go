package demostore

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// hashNAR returns the SHA-256 and the length in bytes of the NAR of the file at path (Nix, archive.cc: dump).
func hashNAR(path string) (hash [sha256.Size]byte, size int64, err error) {
	sum := sha256.New()
	w := &narWriter{out: bufio.NewWriterSize(sum, 64<<10)}
	w.text("nix-archive-1")
	w.node(path)
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return [sha256.Size]byte(sum.Sum(nil)), w.size, w.err
}

// A narWriter writes a NAR and keeps its first error.
type narWriter struct {
	out  *bufio.Writer
	size int64
	err  error
}

func (w *narWriter) bytes(p []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(p)
		w.size += int64(len(p))
	}
}

func (w *narWriter) number(n int64) { w.bytes(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

func (w *narWriter) pad(n int64) { w.bytes(make([]byte, (8-n%8)%8)) }

func (w *narWriter) text(words ...string) {
	for _, s := range words {
		w.number(int64(len(s)))
		w.bytes([]byte(s))
		w.pad(int64(len(s)))
	}
}

func (w *narWriter) node(path string) {
	info, err := os.Lstat(path)
	if err != nil {
		w.err = err
		return
	}
	w.text("(", "type")
	switch info.Mode().Type() {
	case 0:
		w.file(path, info)
	case fs.ModeDir:
		w.dir(path)
	case fs.ModeSymlink:
		target, err := os.Readlink(path)
		w.text("symlink", "target", target)
		w.fail(err)
	default:
		w.fail(fmt.Errorf("%s is not a file, directory or symlink", path))
	}
	w.text(")")
}

func (w *narWriter) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *narWriter) file(path string, info fs.FileInfo) {
	w.text("regular")
	if info.Mode()&0o100 != 0 {
		w.text("executable", "")
	}
	w.text("contents")
	w.number(info.Size())
	f, err := os.Open(path)
	if err != nil || w.err != nil {
		w.fail(err)
		return
	}
	defer f.Close()
	n, err := io.Copy(w.out, f)
	w.size += n
	w.fail(err)
	if n != info.Size() {
		w.fail(fmt.Errorf("%s has %d bytes, not %d", path, n, info.Size()))
	}
	w.pad(n)
}

// dir writes a directory; os.ReadDir sorts names by bytes, as the format requires.
func (w *narWriter) dir(path string) {
	w.text("directory")
	entries, err := os.ReadDir(path)
	w.fail(err)
	for _, e := range entries {
		w.text("entry", "(", "name", e.Name(), "node")
		w.node(filepath.Join(path, e.Name()))
		w.text(")")
	}
}
