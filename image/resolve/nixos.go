package resolve

import (
	"path"
	"slices"

	"imprint/image/trees"
	"imprint/internal/tree"
)

// nixOSDirs are the directories that NixOS expects in its root file system: on which its initrd mounts file systems, and in which the
// system writes before it has created them. Everything else NixOS creates when it starts.
var nixOSDirs = []struct {
	path string
	mode uint16
}{
	{"/boot", 0o755}, {"/dev", 0o755}, {"/etc", 0o755}, {"/home", 0o755}, {"/proc", 0o555}, {"/root", 0o700}, {"/run", 0o755},
	{"/sys", 0o555}, {"/tmp", 0o1777}, {"/var", 0o755}, {"/var/tmp", 0o1777},
}

// nixOSTag is the file by which NixOS's tools know that they may change a system.
const nixOSTag = "/etc/NIXOS"

// nixOS adds to the root file system of an image that boots NixOS what the description does not.
func (t *treeFiller) nixOS() {
	root := t.world.d.Root()
	if root == nil || root.Name.V != t.d.Name.V || !t.boot.hasGenerations() {
		return
	}
	attr := trees.AttrsAt(t.epoch)
	for _, d := range nixOSDirs {
		if t.isFree(d.path) {
			dir := *attr.Dir
			dir.Mode = d.mode
			t.add(d.path, tree.NewDir("", &dir, nil))
		}
	}
	if t.isFree(nixOSTag) {
		t.add(nixOSTag, tree.NewFile("", attr.File, tree.Text("")))
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

// isFree reports whether something can be added at a path: nothing is there, and its parent, if it exists, is a directory.
func (t *treeFiller) isFree(at string) bool {
	dir := t.Find(path.Dir(at))
	return t.Find(at) == nil && (dir == nil || dir.Kind() == tree.Dir)
}
