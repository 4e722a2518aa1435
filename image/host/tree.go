package host

import (
	"context"
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
	"imprint/internal/unpack"
	"imprint/partition"
)

// A treeSource is a directory or an archive on the host that a key names.
type treeSource struct {
	key     diag.Key
	name    string // as the description has it
	exclude pattern.Set
	to      *partition.Filesystem // of the partition; nil if it does not become a tree there
}

// sourceOf returns the source of a [[partition.tree]].
func sourceOf(p description.Partition, t description.Tree) treeSource {
	exclude, _ := pattern.Parse(description.Strings(t.Exclude)) // checked with the description
	return treeSource{key: t.Source.Key, name: t.Source.V, exclude: exclude, to: partition.Named(p.Filesystem.V)}
}

// tree reads a directory or an archive.
func (h *reading) tree(ctx context.Context, src treeSource) *Input {
	path := h.onHost(src.name)
	if inside := CheckOutput(src.key, path, h.OutDir, src.exclude); inside != nil {
		h.problems = append(h.problems, inside...)
		return nil
	}
	in, err := h.readTree(ctx, path, src)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		h.problems = append(h.problems, src.key.ProblemOf(err))
		return nil
	}
	h.inputs[src.key] = in
	for _, e := range in.Entries {
		for path, n := range tree.Walk(e.Path, e.Node) {
			if n.Kind() == tree.File && h.fits(src.key, src.to, path, n.Size()) {
				h.contents = append(h.contents, content{n.Blob(), n.SetBlob, in, path})
			}
		}
	}
	return in
}

// fits reports a file that is too large for the file system, before time is spent on reading it.
func (h *reading) fits(key diag.Key, fs *partition.Filesystem, path string, size int64) bool {
	if fs == nil || fs.MaxFile == 0 || size <= fs.MaxFile {
		return true
	}
	h.problems = append(h.problems, key.Problem(
		fmt.Sprintf("%s has %d bytes, but the largest file on %s has %d", tree.Shown(path), size, fs.Name, fs.MaxFile), ""))
	return false
}

// CheckOutput reports a problem if the image, which will be in outDir, would be inside root, which is copied into it. The list is nil
// otherwise, if outDir is "", or if one of the two does not exist.
func CheckOutput(key diag.Key, root, outDir string, exclude pattern.Set) diag.List {
	if outDir == "" || !holds(root, outDir, exclude) {
		return nil
	}
	return diag.List{key.Problem(fmt.Sprintf("the image would be inside %s, which is copied into it", root),
		"use another -o, or a directory with nothing else in it")}
}

// holds reports whether dir is root or below it, and not excluded. Paths that do not exist are reported when they are read.
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

// readTree reads a directory or a tar archive without opening the files in it. With "/." appended, a symlink to a directory is read as
// that directory.
func (h *reading) readTree(ctx context.Context, path string, src treeSource) (*Input, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		entries, err := hosttree.Tar(path, hosttree.TarOptions{Special: true, Exclude: src.exclude.Match, Unpack: unpack.Into(ctx, h.Scratch, path)})
		return &Input{Entries: entries}, err
	}
	shared, mounts := &attrTable{}, &mounts{}
	n, err := h.scanner(src, shared, mounts).Read(path + "/.")
	if err != nil {
		return nil, err
	}
	if text := mounts.text(); text != "" {
		h.Warn(src.key, text, "add a [[partition.tree]] for it, or list it in exclude")
	}
	h.checkSetID(src, n)
	// The attributes of the top do not belong to the content: it may come from mktemp -d and have mode 0700.
	top := tree.NewDir("", shared.attr(tree.Attr{Mode: 0o755, Mtime: tree.Time{Sec: h.Epoch}}), n.Children())
	return &Input{Entries: []hosttree.Entry{{Path: "/", Node: top}}, IsDir: true}, nil
}

// scanner returns a scanner for host trees. Permission bits are those of the host; owner and time are not, since they differ
// from machine to machine. Owners of set-ID files are kept, for checkSetID.
func (h *reading) scanner(src treeSource, shared *attrTable, m *mounts) *hosttree.Scanner {
	return &hosttree.Scanner{Special: true, Backwards: h.Backwards, Exclude: src.exclude.Match, Mounted: m.add, Attr: func(found hosttree.Host) *tree.Attr {
		a := tree.Attr{Mode: found.Mode, Mtime: tree.Time{Sec: h.Epoch}}
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

// Mode bits that give a program the owner or group of its file, or new files the group of their directory.
const (
	setUID = 0o4000
	setGID = 0o2000
)

// checkSetID reports set-ID files of other users than root. The image would give them to root, and so their callers root's
// rights.
func (h *reading) checkSetID(src treeSource, top *tree.Node) {
	var found []string
	for path, n := range tree.Walk("/", top) {
		if a := n.Attr; path != "/" && (a.UID != 0 || a.GID != 0) {
			found = append(found, fmt.Sprintf("%s (mode %04o)", tree.Shown(path), a.Mode))
		}
	}
	if len(found) > 0 {
		h.problems = append(h.problems, src.key.Problem(some(found)+": set-ID of a user or group other than root, and would belong to root in the image",
			"remove the bits (chmod ug-s), use a tar archive, which keeps owners, or exclude the files"))
	}
}

// mounts collects paths in a tree where other file systems are mounted. They are skipped: what is mounted differs from machine
// to machine.
type mounts struct {
	mu    sync.Mutex
	paths []string
}

func (m *mounts) add(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.paths = append(m.paths, tree.Shown(path))
}

// text is a warning about what was skipped, or "".
func (m *mounts) text() string {
	if len(m.paths) == 0 {
		return ""
	}
	slices.Sort(m.paths)
	return "skipped what is mounted at " + some(m.paths)
}

// some returns a list in words, cut after five elements.
func some(list []string) string {
	const most = 5
	text := strings.Join(list[:min(most, len(list))], ", ")
	if n := len(list) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

// attrTable makes equal attributes share one pointer, so that a large tree takes little memory.
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
