package closure

import (
	"crypto/sha1"
	"fmt"
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

// links gives the symlinks of a root, path to target. The collector walks through gcroots and profiles; a link of gcroots/auto, named
// by the SHA-1 of a path in base32, tells it of a link at that path (addIndirectRoot in gc.cc).
func (f Flavor) links(r GCRoot) (map[string]string, error) {
	path, err := tree.Clean(r.Path)
	if err != nil || !strings.HasPrefix(r.Path, "/") || path == "/" {
		return nil, fmt.Errorf("add GC root %q: not an absolute path that a link can have", r.Path)
	}
	links := map[string]string{path: r.Target}
	if !strings.HasPrefix(path, f.StateDir+"/gcroots/") && !strings.HasPrefix(path, f.StateDir+"/profiles/") {
		sum := sha1.Sum([]byte(path))
		links[f.StateDir+"/gcroots/auto/"+nar.EncodeBase32(sum[:])] = path
	}
	return links, nil
}

func (f Flavor) profileLinks(p Profile) (map[string]string, error) {
	name, err := tree.Clean(p.Name)
	if err != nil || name == "/" {
		return nil, fmt.Errorf("add profile %q: not a path below %s/profiles", p.Name, f.StateDir)
	}
	path := f.StateDir + "/profiles" + name
	generation := name[strings.LastIndexByte(name, '/')+1:] + "-1-link"
	return map[string]string{path: generation, path + "-1-link": p.Item.String()}, nil
}
