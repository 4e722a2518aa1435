package resolve

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"imprint/image/description"
	"imprint/internal/diag"
	"imprint/internal/hosttree"
	"imprint/internal/pattern"
	"imprint/internal/tree"
	"imprint/partition"
)

// A treeSource is a directory or an archive of the host that a key names.
type treeSource struct {
	key     diag.Key
	name    string // as the description has it
	exclude pattern.Set
	to      *partition.Filesystem // that receives it, nil if it becomes something else
}

func sourceOf(p description.Partition, t description.Tree) treeSource {
	exclude, _ := pattern.Parse(texts(t.Exclude)) // checked with the description
	return treeSource{key: t.Source.Key, name: t.Source.V, exclude: exclude, to: partition.Named(p.Filesystem.V)}
}

// tree reads a directory, or an archive when the source is a file.
func (h *hostReader) tree(src treeSource) *host {
	path := h.path(src.name)
	if h.in.OutDir != "" && holds(path, h.in.OutDir, src.exclude) {
		h.problems = append(h.problems, src.key.Problem(fmt.Sprintf("the image would lie in %s, which is to be copied into it", path),
			"-o elsewhere, or take a directory that holds the tree alone"))
		return nil
	}
	in, err := h.readTree(path, src)
	if err != nil {
		h.problems = append(h.problems, src.key.ProblemOf(err))
		return nil
	}
	h.hosts[src.key] = in
	for _, e := range in.entries {
		for path, n := range tree.Walk(e.Path, e.Node) {
			if n.Kind() == tree.File && h.fits(src.key, src.to, path, n.Size()) {
				h.contents = append(h.contents, hostContent{n.Blob(), n.SetBlob, in, path})
			}
		}
	}
	return in
}

// fits reports a file that is larger than its file system holds, before any time is spent on reading it.
func (h *hostReader) fits(key diag.Key, fs *partition.Filesystem, path string, size int64) bool {
	if fs == nil || fs.MaxFile == 0 || size <= fs.MaxFile {
		return true
	}
	h.problems = append(h.problems, key.Problem(
		fmt.Sprintf("%s: file of %d bytes, the largest that %s holds has %d", tree.Shown(path), size, fs.Name, fs.MaxFile), ""))
	return false
}

// holds reports whether dir is root or lies below it, and is not excluded. What cannot be found is reported where it is read.
func holds(root, dir string, exclude pattern.Set) bool {
	for _, p := range []*string{&root, &dir} {
		real, err := filepath.EvalSymlinks(*p)
		if err != nil {
			return false
		}
		if *p, err = filepath.Abs(real); err != nil {
			return false
		}
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel) && !exclude.Covers("/"+rel, true)
}

func (h *hostReader) readTree(path string, src treeSource) (*host, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		entries, err := hosttree.Tar(path, hosttree.TarOptions{Special: true, Exclude: src.exclude.Match})
		return &host{entries: entries}, err
	}
	shared, mounts := &attrTable{}, &mounts{}
	n, err := h.scanner(src, shared, mounts).Read(path + "/.")
	if err != nil {
		return nil, err
	}
	if text := mounts.text(); text != "" {
		h.warn(src.key, text, "name it in a [[partition.tree]] of its own, or in exclude")
	}
	h.checkSetID(src, n)
	// How the host keeps the directory says nothing of what is in it: it may be one of mktemp, which only its owner can search.
	top := tree.NewDir("", shared.attr(tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: h.epoch}}), n.Children())
	return &host{entries: []hosttree.Entry{{Path: "/", Node: top}}, isDir: true}, nil
}

// scanner reads host trees that the description names: permission bits are the host's, owner and time are not. Only with set-ID bits the
// owner is kept, for checkSetID.
func (h *hostReader) scanner(src treeSource, shared *attrTable, m *mounts) *hosttree.Scanner {
	return &hosttree.Scanner{Special: true, Exclude: src.exclude.Match, Mounted: m.add, Attr: func(found hosttree.Host) *tree.Attr {
		a := tree.Attr{Mode: found.Mode, Mtime: tree.Time{Sec: h.epoch}}
		if found.Kind == tree.Symlink {
			a.Mode = 0o777
		}
		owners := src.to != nil && src.to.Owners
		if owners && a.Mode&setUID != 0 {
			a.UID = found.UID
		}
		if owners && a.Mode&setGID != 0 {
			a.GID = found.GID
		}
		return shared.attr(a)
	}}
}

// Bits of a mode that give a file's owner or group to who runs it, or a directory's group to what is made in it.
const (
	setUID = 0o4000
	setGID = 0o2000
)

// checkSetID reports what would become set-ID of root, since all of a host directory is root's in the image, and is not on the host.
func (h *hostReader) checkSetID(src treeSource, top *tree.Node) {
	var found []string
	for path, n := range tree.Walk("/", top) {
		if a := n.Attr; path != "/" && (a.UID != 0 || a.GID != 0) {
			found = append(found, fmt.Sprintf("%s (mode %04o)", tree.Shown(path), a.Mode))
		}
	}
	if len(found) > 0 {
		h.problems = append(h.problems, src.key.Problem(some(found)+": set-ID of another user or group than root, and would be root's in the image",
			"take the bits away (chmod ug-s), or use a tar archive, which keeps owners; exclude leaves files out"))
	}
}

// mounts are the paths in a tree where other file systems are mounted.
type mounts struct {
	mu    sync.Mutex
	paths []string
}

func (m *mounts) add(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths = append(m.paths, tree.Shown(path))
}

// text says what was left out, "" if nothing was.
func (m *mounts) text() string {
	if len(m.paths) == 0 {
		return ""
	}
	slices.Sort(m.paths)
	return "what is mounted at " + some(m.paths) + " is left out"
}

// some is a list in words, the first five of it.
func some(list []string) string {
	const most = 5
	text := strings.Join(list[:min(most, len(list))], ", ")
	if n := len(list) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// addTree adds a host directory or the entries of an archive. The top of a directory has attributes where nothing else gives it any.
func (t *treeFiller) addTree(d description.Tree) {
	in, target := t.hosts[d.Source.Key], cmp.Or(d.Target.V, "/")
	for _, e := range in.entries {
		path, n := tree.Join(target, strings.TrimPrefix(e.Path, "/")), e.Node
		if in.isDir && t.b.Find(target) != nil {
			n = tree.NewDir("", nil, n.Children())
		}
		t.add(d.Key, path, n)
		if clean, _ := tree.Clean(path); clean == "/" && !in.isDir && n.Kind() == tree.Dir {
			t.checkTop(d.Key, n.Attr)
		}
	}
}

// checkTop warns of an archive whose own top makes that of the partition one that not all can search, or that is not root's: it may be
// how a user keeps the directory that was packed.
func (t *treeFiller) checkTop(key diag.Key, a *tree.Attr) {
	stated := slices.ContainsFunc(t.d.Dir.Items, func(d description.Dir) bool { return d.Path.V == "/" })
	if stated || !partition.Named(t.d.Filesystem.V).Owners || a.Mode&0o001 != 0 && a.UID == 0 {
		return
	}
	t.warn(key, fmt.Sprintf("by the archive's entry for its top, / has mode %04o and owner %d:%d", a.Mode, a.UID, a.GID),
		`[[partition.dir]] with path = "/" says what it shall have`)
}

// attrTable gives equal attributes one pointer, so that a large tree stays small.
type attrTable struct {
	mu    sync.Mutex
	known map[attrKey]*tree.Attr
}

type attrKey struct {
	mode     uint16
	uid, gid uint32
	mtime    tree.Time
}

func (t *attrTable) attr(a tree.Attr) *tree.Attr {
	key := attrKey{a.Mode, a.UID, a.GID, a.Mtime}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[attrKey]*tree.Attr{}
	}
	if t.known[key] == nil {
		t.known[key] = &a
	}
	return t.known[key]
}
