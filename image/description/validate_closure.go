package description

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"imprint/closure"
	"imprint/closure/daemon"
	"imprint/closure/narinfo"
	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/remote"
	"imprint/internal/units"
	"imprint/partition"
)

// flavor returns the flavor of the store; an unknown one is reported elsewhere.
func (c *checker) flavor() closure.Flavor {
	f, err := closure.FlavorNamed(c.d.Store.Flavor.V)
	if err != nil {
		return closure.Nix
	}
	return f
}

var (
	closureName    = regexp.MustCompile(language.ClosureNameForm)
	profileName    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*$`)
	generationName = regexp.MustCompile(`-[0-9]+-link$`)
)

// allClosures checks every closure, and that names are unique.
func (c *checker) allClosures() {
	names, profiles, roots := unique{}, unique{}, unique{}
	for i := range c.d.Closure.Items {
		cl := &c.d.Closure.Items[i]
		if name := cl.Name.V; name != "" && !closureName.MatchString(name) {
			c.Report(cl.Name.Key, fmt.Sprintf("%q is not valid as the name of a closure", name), "use a-z A-Z 0-9 _ -")
		} else if strings.HasPrefix(name, "boot-") {
			c.Report(cl.Name.Key, fmt.Sprintf("%q begins with boot-, which is reserved for the GC roots of boot entries", name), "")
		}
		c.unique(names, cl.Name.Key, cl.Name.V, "the name")
		c.unique(profiles, cl.Profile.Key, cl.Profile.V, "the profile")
		c.roots(cl)
		c.profile(cl)
		c.gcRoots(cl, roots)
	}
}

// allSources checks that every source is a directory, an image, a cache or a stream.
func (c *checker) allSources() {
	for _, s := range c.d.Source.Items {
		own := s.Own()
		for _, t := range []Text{s.Path, s.Registration, s.Image, s.URL, s.Export} {
			if own.Written() && t.Written() && t.Key != own.Key {
				name := own.Key.Path[strings.LastIndexByte(own.Key.Path, '.')+1:]
				c.Report(t.Key, "does not go with "+name+", which has a store of its own", "remove one of them")
			}
		}
		if s.Partition.Written() && !s.Image.Written() {
			c.Report(s.Partition.Key, "is for an image, but this source has none", "add image, or remove partition")
		}
		c.cache(s)
	}
}

// cache checks a binary cache: its items have to be signed, or need not be, and which of the two is written.
func (c *checker) cache(s Source) {
	if !s.URL.Written() {
		for _, k := range []diag.Key{s.Keys.Key, s.Unsigned.Key} {
			if k.Written && (k.Path != s.Keys.Key.Path || !s.Export.Written()) {
				c.Report(k, "is for a binary cache, but this source has none", "add url, or remove it")
			}
		}
		c.keys(s)
		return
	}
	if _, ok, err := daemon.Address(s.URL.V); ok {
		c.daemon(s, err)
		return
	}
	if _, err := remote.Parse(s.URL.V); err != nil && s.URL.V != "" {
		c.Report(s.URL.Key, err.Error(), `as in "https://cache.example.org", "file:///srv/cache" or "daemon"`)
	}
	c.keys(s)
	switch {
	case s.Unsigned.V && s.Keys.Written():
		c.Report(s.Unsigned.Key, "does not go with trusted-public-keys: items are signed, or need not be", "remove one of them")
	case !s.Unsigned.V && len(s.Keys.Items) == 0:
		c.Report(s.URL.Key, "needs trusted-public-keys: whoever can write to the cache could put anything into the image",
			"name the key of the cache, or write unsigned = true if only you can write to it")
	}
}

// keys checks the keys of those who sign items.
func (c *checker) keys(s Source) {
	for _, k := range s.Keys.Items {
		if _, err := narinfo.ParseKey(k.V); err != nil {
			c.ReportError(k.Key, err)
		}
	}
}

// daemon checks a daemon, which is trusted like the store that it has. err is that of its address.
func (c *checker) daemon(s Source, err error) {
	if err != nil {
		c.ReportError(s.URL.Key, err)
	}
	if f := c.flavor(); f.Name != closure.Nix.Name {
		c.Report(s.URL.Key, "is a daemon of Nix, and the store is of flavor "+f.Name, "its store can be read as a directory: path = \"/\"")
	}
	for _, k := range []diag.Key{s.Keys.Key, s.Unsigned.Key} {
		if k.Written {
			c.Report(k, "is for a binary cache, and this source is a daemon", "remove it")
		}
	}
}

// roots checks the roots of a closure as text. Whether two of them lead to the same item is known only when they are resolved.
func (c *checker) roots(cl *Closure) {
	if cl.Roots.Written() && len(cl.Roots.Items) == 0 {
		c.Report(cl.Roots.Key, "is empty", "a closure has at least one root")
	}
	seen := map[string]int{}
	for i, root := range cl.Roots.Items {
		if first, ok := seen[root.V]; ok {
			c.Report(root.Key, fmt.Sprintf("%q is already roots[%d]", root.V, first), "")
			continue
		}
		seen[root.V] = i
	}
}

// profile checks the name of a profile. It becomes the link PROFILE in the directory of profiles, beside its generation
// PROFILE-1-link, so it must not look like a generation itself.
func (c *checker) profile(cl *Closure) {
	k, name := cl.Profile.Key, cl.Profile.V
	switch {
	case name == "":
	case !profileName.MatchString(name) || name == "per-user":
		c.Report(k, fmt.Sprintf("%q is not valid as the name of a profile", name),
			"it becomes a link in "+c.flavor().Profiles()+": use a-z A-Z 0-9 . _ + -, a letter or digit first")
	case generationName.MatchString(name):
		c.Report(k, fmt.Sprintf("%q is the form of a profile generation's name", name), "")
	}
}

// gcRoots checks further GC roots. They must be below the store's directory of GC roots, since the collector finds roots nowhere else,
// and not in a subdirectory that is managed by a program.
func (c *checker) gcRoots(cl *Closure, taken unique) {
	if n, roots := len(cl.GCRoots.Items), len(cl.Roots.Items); n > 0 && roots > 1 && n != roots {
		c.Report(cl.GCRoots.Key, fmt.Sprintf("has %s for %d roots", units.Count(n, "link"), roots), "give one for each root, in the same order")
	}
	flavor := c.flavor()
	gcRoots := flavor.GCRoots() + "/"
	for _, link := range cl.GCRoots.Items {
		below, ok := strings.CutPrefix(link.V, gcRoots)
		first, _, _ := strings.Cut(below, "/")
		switch {
		case !ok || path.Clean(link.V) != link.V:
			c.Report(link.Key, fmt.Sprintf("%q is not a path below %s", link.V, gcRoots), "as in "+gcRoots+"extra")
		case flavor.Reserves(first):
			c.Report(link.Key, fmt.Sprintf("%s%s is reserved for %s or imprint", gcRoots, first, flavor.Title), "choose another name")
		}
		c.unique(taken, link.Key, link.V, "the link")
	}
}

// closuresInPartitions checks that all closures are in one partition, the one with the store.
func (c *checker) closuresInPartitions() {
	used, store := map[string]bool{}, ""
	for _, p := range c.d.Partition.Items {
		if k := p.Closures.Key; len(p.Closures.Items) > 0 {
			if store != "" {
				c.Report(k, fmt.Sprintf("closures must be in one partition, and %s has some", store), "put all closures there")
			} else {
				store = k.Path
			}
		}
		inThis := unique{}
		for _, name := range p.Closures.Items {
			c.unique(inThis, name.Key, name.V, "the closure")
			if c.closures[name.V] == nil && !c.Full() {
				if err := c.absent("closure", name.V, c.closureNames); err != nil {
					c.ReportError(name.Key, err)
				}
			}
			used[name.V] = true
		}
	}
	for _, cl := range c.d.Closure.Items {
		if name := cl.Name; name.V != "" && !used[name.V] {
			c.Report(name.Key, fmt.Sprintf("%q is not in any partition", name.V),
				fmt.Sprintf("add closures = [%q] to a partition with filesystem = %q", name.V, c.storeFilesystem()))
		}
	}
}

// storeFilesystem is the file system that a hint suggests for the store.
func (c *checker) storeFilesystem() string {
	fit := language.FilesystemsThat(func(f *partition.Filesystem) bool {
		return f.Store && (c.d.isISO() && f.WholeDisk || !c.d.isISO() && f.Writable)
	})
	return fit[0]
}
