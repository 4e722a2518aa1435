package closure

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// A GCRoot is a symlink in the image that protects an item, and everything it refers to, from garbage collection.
type GCRoot struct {
	Path   string // absolute; outside of the directories of the collector, an indirect root registers it there
	Target string // an item's store path, or a path inside one
}

// A Profile is a profile with its generations: symlinks NAME-1-link -> item and so on, and NAME -> NAME-N-link to the last one, which
// is the current generation, below the flavor's directory of profiles (profiles.cc). It is a GC root.
type Profile struct {
	Name        string // "system", "per-user/root/profile"…
	Generations []Path // at least one
}

// GCRoot returns the default root for an item: a link with its name, in the flavor's directory of GC roots.
func (f Flavor) GCRoot(p Path) GCRoot { return GCRoot{f.GCRoots() + "/" + p.Base(), p.String()} }

// links are the symlinks to create in an image: their targets, by path.
type links map[string]string

// addAll adds the links of all roots and profiles of a target.
func (l links) addAll(t *Target) error {
	for _, r := range t.Roots {
		if err := l.addRoot(t, r); err != nil {
			return fmt.Errorf("add GC root %s: %v", r.Path, err)
		}
	}
	for _, p := range t.Profiles {
		if err := l.addProfile(t, p); err != nil {
			return fmt.Errorf("add profile %q: %v", p.Name, err)
		}
	}
	return nil
}

// addRoot adds a root. The collector looks below gcroots and profiles. It finds a link elsewhere through an indirect root: a link to it in
// gcroots/auto, named by the base32 SHA-1 of its path (addIndirectRoot in gc.cc).
func (l links) addRoot(t *Target, r GCRoot) error {
	path, err := tree.Clean(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") || path == "/" {
		return fmt.Errorf("not an absolute path at which a link can be")
	}
	if err := t.has(r.Target); err != nil {
		return err
	}
	if f := t.Flavor; !strings.HasPrefix(path, f.GCRoots()+"/") && !strings.HasPrefix(path, f.Profiles()+"/") {
		sum := sha1.Sum([]byte(path))
		l[f.GCRoots()+"/auto/"+nar.EncodeBase32(sum[:])] = path
	}
	return l.add(path, r.Target)
}

// addProfile adds a profile and its generations. The link to the current one is relative, as Nix and Guix make it: both are in one directory.
func (l links) addProfile(t *Target, p Profile) error {
	profiles := t.Flavor.Profiles()
	path, err := tree.Clean(p.Name)
	switch {
	case err != nil || path == "/":
		return fmt.Errorf("not a path below %s", profiles)
	case len(p.Generations) == 0:
		return fmt.Errorf("it has no generation")
	}
	generation := func(path string, i int) string { return fmt.Sprintf("%s-%d-link", path, i+1) }
	current := generation(path[strings.LastIndexByte(path, '/')+1:], len(p.Generations)-1)
	if err := l.add(profiles+path, current); err != nil {
		return err
	}
	for i, item := range p.Generations {
		if err := l.addRoot(t, GCRoot{generation(profiles+path, i), item.String()}); err != nil {
			return err
		}
	}
	return nil
}

// add adds a link. The same link may be added twice: an indirect root, for example, may also be listed as a root.
func (l links) add(at, target string) error {
	if old, ok := l[at]; ok && old != target {
		return fmt.Errorf("%s would link to both %s and %s", at, old, target)
	}
	l[at] = target
	return nil
}

// has returns an error unless the path is an item of the image, or inside one, since the collector ignores other roots.
func (t *Target) has(path string) error {
	item, _, _, err := t.Flavor.parse(path)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(t.Items, func(i TargetItem) bool { return i.Info.Path == item }) {
		return fmt.Errorf("the image's store does not have %s", item)
	}
	return nil
}
