package main

import (
	"cmp"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// pieceSize is the size in bytes of the pieces that are written and hashed.
const pieceSize = 4 << 20

// floor is the lower bound for every image builder: it reads every file of a tree once and writes the bytes to one file, in no particular
// order. With -item it also hashes every file, with -piece every piece, like a build that checks NAR hashes and computes an image digest.
func floor(args []string) error {
	flags := flag.NewFlagSet("floor", flag.ContinueOnError)
	f := mover{}
	workers := flags.Int("j", runtime.NumCPU(), "workers")
	flags.BoolVar(&f.hashItems, "item", false, "hash every file")
	flags.BoolVar(&f.hashPieces, "piece", false, "hash every piece")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var err error
	if f.files, err = list(flags.Arg(0), *workers); err != nil {
		return err
	}
	slices.SortFunc(f.files, func(a, b file) int { return cmp.Compare(b.size, a.size) })
	if f.out, err = os.Create(flags.Arg(1)); err != nil {
		return err
	}
	if err := inParallel(*workers, f.work); err != nil {
		return err
	}
	return f.out.Close()
}

type file struct {
	path string
	size int64
}

// list returns the regular files of a tree. It reads several directories in parallel, since each waits for the disk if the cache is cold.
func list(root string, workers int) ([]file, error) {
	l := lister{slots: make(chan struct{}, workers)}
	l.walk(root)
	l.running.Wait()
	return l.files, l.err
}

type lister struct {
	slots   chan struct{}
	running sync.WaitGroup
	mu      sync.Mutex
	files   []file
	err     error
}

func (l *lister) walk(dir string) {
	l.running.Go(func() {
		l.slots <- struct{}{}
		defer func() { <-l.slots }()
		entries, err := os.ReadDir(dir)
		var here []file
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.IsDir() {
				l.walk(path)
			}
			if e.Type().IsRegular() {
				var info fs.FileInfo
				if info, err = e.Info(); err != nil {
					break
				}
				here = append(here, file{path, info.Size()})
			}
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.files = append(l.files, here...)
		l.err = cmp.Or(l.err, err)
	})
}

// inParallel runs n calls of work in parallel and returns one of their errors.
func inParallel(n int, work func() error) error {
	var running sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		running.Go(func() { errs[i] = work() })
	}
	running.Wait()
	return cmp.Or(errs...)
}

// A mover takes files from a list and appends them to a file.
type mover struct {
	hashItems, hashPieces bool
	files                 []file
	next                  atomic.Int64 // index of the next file
	out                   *os.File
	end                   atomic.Int64 // of the output, in bytes
}

func (m *mover) work() error {
	p := piece{mover: m, item: sha256.New()}
	for {
		i := int(m.next.Add(1)) - 1
		if i >= len(m.files) {
			return p.flush()
		}
		if err := p.add(m.files[i]); err != nil {
			return err
		}
	}
}

// A piece collects contents until there is enough to write.
type piece struct {
	*mover
	buf  [pieceSize]byte
	fill int
	item hash.Hash
}

func (p *piece) add(f file) error {
	in, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer in.Close()
	p.item.Reset()
	for left := f.size; left > 0; {
		if p.fill == pieceSize {
			if err := p.flush(); err != nil {
				return err
			}
		}
		n, err := in.Read(p.buf[p.fill : p.fill+int(min(int64(pieceSize-p.fill), left))])
		if err != nil {
			return fmt.Errorf("read %s: %v", f.path, err)
		}
		if p.hashItems {
			p.item.Write(p.buf[p.fill : p.fill+n])
		}
		p.fill += n
		left -= int64(n)
	}
	return nil
}

func (p *piece) flush() error {
	if p.hashPieces {
		sha256.Sum256(p.buf[:p.fill])
	}
	_, err := p.out.WriteAt(p.buf[:p.fill], p.end.Add(int64(p.fill))-int64(p.fill))
	p.fill = 0
	return err
}
