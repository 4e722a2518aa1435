package resolve

import (
	"path"
	"slices"

	"imprint/image/trees"
	"imprint/internal/tree"
)

// A standardDir is a directory that a distribution expects in its root file system.
type standardDir struct {
	path string
	mode uint16
}

// nixOSDirs are those on which NixOS's initrd mounts file systems, and those in which the system writes before it has created them. Everything
// else NixOS creates when it starts.
var nixOSDirs = []standardDir{
	{"/boot", 0o755}, {"/dev", 0o755}, {"/etc", 0o755}, {"/home", 0o755}, {"/proc", 0o555}, {"/root", 0o700}, {"/run", 0o755},
	{"/sys", 0o555}, {"/tmp", 0o1777}, {"/var", 0o755}, {"/var/tmp", 0o1777},
}

// nixOSTag is the file by which NixOS's tools know that they may change a system.
const nixOSTag = "/etc/NIXOS"

// guixDirs are those that Guix makes in a new root file system (gnu/build/install.scm), and those on which its initrd mounts file systems.
var guixDirs = []standardDir{
	{"/bin", 0o755}, {"/dev", 0o755}, {"/etc", 0o755}, {"/home", 0o755}, {"/mnt", 0o755}, {"/proc", 0o555}, {"/root", 0o700}, {"/run", 0o755},
	{"/sys", 0o555}, {"/tmp", 0o1777}, {"/var/db", 0o755}, {"/var/empty", 0o555}, {"/var/lock", 0o1777}, {"/var/log", 0o755}, {"/var/tmp", 0o1777},
}

// standard adds to the root file system of an image that boots NixOS or Guix what the description does not.
func (t *treeFiller) standard() {
	root := t.world.d.Root()
	if root == nil || root.Name.V != t.d.Name.V {
		return
	}
	switch {
	case t.boot.hasGenerations():
		t.addDirs(nixOSDirs)
		if t.isFree(nixOSTag) {
			t.add(nixOSTag, tree.NewFile("", trees.AttrsAt(t.epoch).File, tree.Text("")))
		}
	case !t.distribution().maintains && t.boot.hasSystems():
		t.addDirs(guixDirs)
	}
}

func (t *treeFiller) addDirs(dirs []standardDir) {
	for _, d := range dirs {
		if t.isFree(d.path) {
			attr := *trees.AttrsAt(t.epoch).Dir
			attr.Mode = d.mode
			t.add(d.path, tree.NewDir("", &attr, nil))
		}
	}
}

// add adds a node where nothing is in its way; anything else is a problem at the partition.
func (t *treeFiller) add(path string, n *tree.Node) {
	t.Keys[t.d.Key.Path] = t.d.Key
	if err := t.Add(path, n, t.d.Key.Path); err != nil {
		t.problems = append(t.problems, t.d.Key.ProblemOf(err))
	}
}

// hasGenerations reports whether there are entries that NixOS will maintain.
func (b *boot) hasGenerations() bool {
	return slices.ContainsFunc(b.entries, func(e bootEntry) bool { return e.Generation != nil })
}

// hasSystems reports whether there are entries of systems, which say themselves how they boot.
func (b *boot) hasSystems() bool {
	return slices.ContainsFunc(b.entries, func(e bootEntry) bool { return e.ofSystem })
}

// isFree reports whether something can be added at a path: nothing is there, and its parent, if it exists, is a directory.
func (t *treeFiller) isFree(at string) bool {
	dir := t.Find(path.Dir(at))
	return t.Find(at) == nil && (dir == nil || dir.Kind() == tree.Dir)
}
