package closure

import (
	"crypto/sha1"
	"fmt"
	"slices"
	"strings"

	"imprint/closure/nar"
	"imprint/internal/tree"
)

// A GCRoot is a symlink in the image that keeps an item, and all it refers to, from being collected as garbage.
type GCRoot struct {
	Path   string // absolute; outside of the directories where the collector looks, it gets a link there that leads to it
	Target string // an item's store path, or a path inside one
}

// A Profile is a profile with its first generation: two symlinks, NAME -> NAME-1-link and NAME-1-link -> item, below the flavor's
// directory of profiles (profiles.cc). It is a GC root.
type Profile struct {
	Name string // "system", "per-user/root/profile"…
	Item Path
}

// GCRoot is the plainest root for an item: a link of its name among the flavor's GC roots.
func (f Flavor) GCRoot(p Path) GCRoot { return GCRoot{f.StateDir + "/gcroots/" + p.Base(), p.String()} }

// links are symlinks of an image, target by path.
type links map[string]string

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

// addRoot adds a root. The collector walks through gcroots and profiles; a link in gcroots/auto, named by the SHA-1 of a path in base32,
// tells it of a link at that path (addIndirectRoot in gc.cc).
func (l links) addRoot(t *Target, r GCRoot) error {
	path, err := tree.Clean(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") || path == "/" {
		return fmt.Errorf("not an absolute path that a link can have")
	}
	if err := t.has(r.Target); err != nil {
		return err
	}
	state := t.Flavor.StateDir
	if !strings.HasPrefix(path, state+"/gcroots/") && !strings.HasPrefix(path, state+"/profiles/") {
		sum := sha1.Sum([]byte(path))
		l[state+"/gcroots/auto/"+nar.EncodeBase32(sum[:])] = path
	}
	return l.add(path, r.Target)
}

func (l links) addProfile(t *Target, p Profile) error {
	profiles := t.Flavor.StateDir + "/profiles"
	path, err := tree.Clean(p.Name)
	if err != nil || path == "/" {
		return fmt.Errorf("not a path below %s", profiles)
	}
	generation := path[strings.LastIndexByte(path, '/')+1:] + "-1-link"
	if err := l.add(profiles+path, generation); err != nil {
		return err
	}
	return l.addRoot(t, GCRoot{profiles + path + "-1-link", p.Item.String()})
}

func (l links) add(at, target string) error {
	if old, ok := l[at]; ok && old != target {
		return fmt.Errorf("%s would lead to both %s and %s", at, old, target)
	}
	l[at] = target
	return nil
}

// has is an error unless the path is that of an item of the image, or of something inside one. The collector skips such roots.
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
