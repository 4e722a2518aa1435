package image

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"imprint/closure"
)

// gcRoots is the directory of GC roots in the image.
var gcRoots = closure.Nix.StateDir + "/gcroots/"

// ownGCRoots are the names below it that Nix and imprint itself fill.
var ownGCRoots = []string{"auto", "imprint", "per-user", "profiles"}

var (
	profileName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	generationName = regexp.MustCompile(`-[0-9]+-link$`)
)

// closures checks what the closures say of themselves, and that each is in a partition.
func (c *checker) closures() {
	names, profiles, roots := unique{}, unique{}, unique{}
	for i, d := range c.d.Closure {
		key := fmt.Sprintf("closure[%d]", i)
		if d.Name != "" && !closureName.MatchString(d.Name) {
			c.report(key+".name", fmt.Sprintf("%q is not fit for the name of a closure", d.Name), "use a-z A-Z 0-9 _ -")
		}
		if strings.HasPrefix(d.Name, "boot-") {
			c.report(key+".name", fmt.Sprintf("%q: names that begin with boot- are those of the boot entries' GC roots", d.Name), "")
		}
		c.unique(names, key+".name", d.Name, "the name")
		c.unique(profiles, key+".profile", d.Profile, "the profile")
		c.roots(key, d)
		c.profile(key, d)
		c.gcRoots(key, d, roots)
	}
}

func (c *checker) roots(key string, d ClosureDescription) {
	if c.d.has(key+".roots") && len(d.Roots) == 0 {
		c.report(key+".roots", "is empty", "a closure has one root at least")
	}
	seen := map[string]int{}
	for i, root := range d.Roots {
		if first, ok := seen[root]; ok {
			c.report(fmt.Sprintf("%s.roots[%d]", key, i), fmt.Sprintf("%q is roots[%d] already", root, first), "")
			continue
		}
		seen[root] = i
	}
}

func (c *checker) profile(key string, d ClosureDescription) {
	switch {
	case d.Profile == "":
	case !profileName.MatchString(d.Profile) || d.Profile == "per-user":
		c.report(key+".profile", fmt.Sprintf("%q is not fit for the name of a profile", d.Profile),
			"it becomes a link in "+closure.Nix.StateDir+"/profiles: use a-z A-Z 0-9 . _ + -, with a letter or digit first")
	case generationName.MatchString(d.Profile):
		c.report(key+".profile", fmt.Sprintf("%q is how a generation of a profile is named", d.Profile), "")
	case len(d.Roots) > 1:
		c.report(key+".profile", fmt.Sprintf("leads to one item, but the closure has %d roots", len(d.Roots)),
			"put the other roots into a closure of their own")
	}
}

func (c *checker) gcRoots(key string, d ClosureDescription, taken unique) {
	if n, roots := len(d.GCRoots), len(d.Roots); n > 0 && roots > 1 && n != roots {
		c.report(key+".gc-roots", fmt.Sprintf("has %d links for %d roots", n, roots), "one for each root, in the same order")
	}
	for i, link := range d.GCRoots {
		element := fmt.Sprintf("%s.gc-roots[%d]", key, i)
		below, ok := strings.CutPrefix(link, gcRoots)
		first, _, _ := strings.Cut(below, "/")
		switch {
		case !ok || path.Clean(link) != link:
			c.report(element, fmt.Sprintf("%q is not a path below %s", link, gcRoots), "as in "+gcRoots+"extra")
		case slices.Contains(ownGCRoots, first):
			c.report(element, fmt.Sprintf("%s%s is not yours to fill", gcRoots, first), "")
		}
		c.unique(taken, element, link, "the link")
	}
}
