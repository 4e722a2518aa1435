package closure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"imprint/closure/db"
	"imprint/internal/tree"

	"golang.org/x/sys/unix"
)

// A TreeStore is a store inside a file tree, such as that of an image's partition. It is only read.
type TreeStore struct {
	flavor   Flavor
	tree     *tree.Tree
	database *db.Source
	copied   *os.File // of the database, in memory
	unread   int64    // bytes of its write-ahead log
	mount    string   // where the tree is mounted: "", or the flavor's Top
}

// maxDatabase is the largest database in bytes that is copied into memory, that of a store with ten million paths.
const maxDatabase = 4 << 30

// InTree reports whether a tree has the store of a flavor in it: at its place, or, in a tree that is mounted at the flavor's Top, below the
// root. Then mount is that directory.
func InTree(t *tree.Tree, f Flavor) (mount string, ok bool) {
	for _, mount := range []string{"", f.Top()} {
		n := t.Find(below(mount, f.Database()))
		if n == nil || n.Inode().Kind() != tree.File {
			continue
		}
		if mount == "" || t.Find(below(mount, f.StoreDir)) != nil { // a database without a store is a fault, but its path alone may be another file's
			return mount, true
		}
	}
	return "", false
}

// find returns the node at a path of the system that mounts the tree, nil if there is none.
func (s *TreeStore) find(at string) *tree.Node {
	if s.mount != "" && !strings.HasPrefix(at, s.mount+"/") {
		return nil
	}
	return s.tree.Find(below(s.mount, at))
}

// OpenTrees opens the stores of all flavors in a tree. There may be none. Of a damaged one the error names the flavor; the others are
// opened.
func OpenTrees(ctx context.Context, t *tree.Tree) (stores []*TreeStore, err error) {
	for _, f := range Flavors() {
		s, problem := OpenTree(ctx, t, f)
		switch {
		case problem == nil:
			stores = append(stores, s)
		case !errors.Is(problem, ErrNoStore):
			err = errors.Join(err, fmt.Errorf("store of flavor %q: %w", f.Name, problem))
		}
	}
	return stores, err
}

// OpenTree opens the store of a flavor in a tree. The error is [ErrNoStore] if the tree has no database of that flavor.
func OpenTree(ctx context.Context, t *tree.Tree, f Flavor) (*TreeStore, error) {
	mount, ok := InTree(t, f)
	if !ok {
		return nil, ErrNoStore
	}
	n := t.Find(below(mount, f.Database()))
	copied, err := inMemory(ctx, n.Inode().Blob())
	if err != nil {
		return nil, invalid("read store database: %v", err)
	}
	s := &TreeStore{flavor: f, tree: t, copied: copied, mount: mount}
	if s.database, err = db.Open(ctx, f.tables, fmt.Sprintf("/proc/self/fd/%d", copied.Fd())); err != nil {
		copied.Close()
		return nil, ofDatabase(err)
	}
	if log := s.find(f.Database() + "-wal"); log != nil {
		s.unread = log.Inode().Size()
	}
	return s, nil
}

// UnreadLog is how many bytes the database's write-ahead log has, which is not read: that of a store in use, or of a system that crashed.
func (s *TreeStore) UnreadLog() int64 { return s.unread }

// ErrNoStore is the error for a tree without a store.
var ErrNoStore = errors.New("there is no store database")

// inMemory copies a content to a file in memory without a name, since SQLite reads only files.
func inMemory(ctx context.Context, b tree.Blob) (*os.File, error) {
	if b.Size() > maxDatabase {
		return nil, fmt.Errorf("%d bytes, more than %d", b.Size(), int64(maxDatabase))
	}
	fd, err := unix.MemfdCreate("database", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "database")
	if err := tree.Copy(ctx, io.Writer(f), b, nil); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// DatabaseFile is a copy of the database in memory, which Close closes.
func (s *TreeStore) DatabaseFile() *os.File { return s.copied }

// Close frees the memory of the database.
func (s *TreeStore) Close() error { return errors.Join(s.database.Close(), s.copied.Close()) }

// Flavor returns the flavor of the store.
func (s *TreeStore) Flavor() Flavor { return s.flavor }

// Paths returns every valid path, in the order of registration. A row that is not a store path is an error.
func (s *TreeStore) Paths(ctx context.Context) ([]Path, error) {
	return s.flavor.paths(ctx, s.database)
}

// paths returns every valid path of a database.
func (f Flavor) paths(ctx context.Context, database *db.Source) ([]Path, error) {
	texts, err := database.Paths(ctx)
	if err != nil {
		return nil, ofDatabase(err)
	}
	paths := make([]Path, len(texts))
	for i, text := range texts {
		if paths[i], err = f.ParsePath(text); err != nil {
			return nil, invalid("store database: %v", err)
		}
	}
	return paths, nil
}

// Info implements [Store].
func (s *TreeStore) Info(ctx context.Context, p Path) (*Info, error) {
	row, err := s.database.Item(ctx, p.String())
	if errors.Is(err, db.ErrNotFound) {
		return nil, fmt.Errorf("%s: %w", p, ErrNotFound)
	}
	if err != nil {
		return nil, ofDatabase(err)
	}
	info, err := s.flavor.Registered(p, row)
	if err != nil {
		return nil, invalid("store database: %v: %v", p, err)
	}
	return info, nil
}

// Infos returns what is registered about every valid path, in the order of registration. It is faster than asking for each.
func (s *TreeStore) Infos(ctx context.Context) ([]*Info, error) {
	return s.flavor.infos(ctx, s.database)
}

// infos returns all of a database.
func (f Flavor) infos(ctx context.Context, database *db.Source) ([]*Info, error) {
	rows, err := database.Items(ctx)
	if err != nil {
		return nil, ofDatabase(err)
	}
	infos := make([]*Info, len(rows))
	for i, row := range rows {
		p, err := f.ParsePath(row.Path)
		if err != nil {
			return nil, invalid("store database: %v", err)
		}
		if infos[i], err = f.Registered(p, row); err != nil {
			return nil, invalid("store database: %v: %v", p, err)
		}
	}
	return infos, nil
}

// Item implements [Store].
func (s *TreeStore) Item(_ context.Context, p Path) (*tree.Node, error) {
	n := s.find(p.String())
	if n == nil {
		return nil, invalid("there is no %v", p)
	}
	n, err := Canonical(p.Base(), n)
	if err != nil {
		return nil, invalid("store item %v: %v", p, err)
	}
	return n, nil
}
