package closure

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"imprint/closure/db"
)

// A Flavor is a kind of store: its directories and its rules. The store directory is part of every store path's hash, so an item belongs
// to one flavor.
type Flavor struct {
	Name       string // as in an image description
	Title      string // in texts
	StoreDir   string // of the items
	StateDir   string // of database, GC roots and profiles
	Schema     string // version of the database: the content of the file "schema" beside it
	StoreMode  uint16 // permissions of the store directory
	StoreGroup uint32 // its group: that of the build users

	LinkMinSize  int64 // bytes of the smallest files that the store's optimiser links
	LinkSymlinks bool  // whether it links equal symlinks too

	RegistrationTime int64 // of all items, in seconds since 1970; 0 for the epoch of the image

	tables *db.Schema
	state  *stateRules
}

// stateRules are a flavor's rules for its state directory, and its command that roots an item.
type stateRules struct {
	dirs     []string          // that the daemon would create at its first start, below the state directory
	links    map[string]string // that the flavor's system has beside the one to the profiles, below the state directory
	reserved []string          // names below gcroots that the flavor's own programs or imprint use
	root     string            // command with a path to complete
}

// Nix is the flavor of Nix and NixOS: schema 10 since Nix 2.0 (local-store.hh, nixSchemaVersion); group 30000 is the nixbld of NixOS
// (nixos/modules/misc/ids.nix); the optimiser links whatever it can (optimise-store.cc).
var Nix = Flavor{
	Name:         "nix",
	Title:        "Nix",
	StoreDir:     "/nix/store",
	StateDir:     "/nix/var/nix",
	Schema:       "10",
	StoreMode:    0o1775,
	StoreGroup:   30000,
	LinkMinSize:  0,
	LinkSymlinks: true,
	tables:       db.Nix,
	state: &stateRules{
		dirs:     []string{"/temproots", "/profiles/per-user/root", "/gcroots/per-user/root", "/gcroots/auto"},
		reserved: []string{"auto", "imprint", "per-user", "profiles"},
		root:     "nix-store --add-root LINK --realise ",
	},
}

// Guix is the flavor of Guix and Guix System: schema 7 (nix/libstore/local-store.hh, nixSchemaVersion); group 30000 is its guixbuild
// (gnu/services/base.scm); the optimiser links files of 8192 bytes and more (nix/libstore/optimise-store.cc, guix/store/deduplication.scm);
// items of an image are registered at 1 (gnu/build/image.scm). Its system has two GC roots that lead to what runs (gnu/build/install.scm).
var Guix = Flavor{
	Name:             "guix",
	Title:            "Guix",
	StoreDir:         "/gnu/store",
	StateDir:         "/var/guix",
	Schema:           "7",
	StoreMode:        0o1775,
	StoreGroup:       30000,
	LinkMinSize:      8192,
	LinkSymlinks:     false,
	RegistrationTime: 1,
	tables:           db.Guix,
	state: &stateRules{
		dirs:     []string{"/temproots", "/profiles/per-user/root", "/gcroots/auto"},
		links:    map[string]string{"/gcroots/booted-system": "/run/booted-system", "/gcroots/current-system": "/run/current-system"},
		reserved: []string{"auto", "booted-system", "current-system", "imprint", "profiles"},
		root:     "guix build --root=LINK ",
	},
}

// Flavors returns all flavors, the default first.
func Flavors() []Flavor { return []Flavor{Nix, Guix} }

// FlavorNames returns the names of all flavors, the default first.
func FlavorNames() (names []string) {
	for _, f := range Flavors() {
		names = append(names, f.Name)
	}
	return names
}

// Top is the directory that holds both the store and its state, and nothing else: where a partition of their own is mounted. It is "" for a
// flavor that has them in several.
func (f Flavor) Top() string {
	if top := path.Dir(f.StoreDir); top != "/" && strings.HasPrefix(f.StateDir, top+"/") {
		return top
	}
	return ""
}

// Database is the path of the store's database.
func (f Flavor) Database() string { return f.StateDir + "/db/db.sqlite" }

// FlavorNamed returns the flavor with a name.
func FlavorNamed(name string) (Flavor, error) {
	for _, f := range Flavors() {
		if f.Name == name {
			return f, nil
		}
	}
	return Flavor{}, fmt.Errorf("unknown flavor %q; known: %s", name, strings.Join(FlavorNames(), ", "))
}

// GCRoots returns the directory of GC roots.
func (f Flavor) GCRoots() string { return f.StateDir + "/gcroots" }

// Profiles returns the directory of profiles.
func (f Flavor) Profiles() string { return f.StateDir + "/profiles" }

// Reserves reports whether a name in the directory of GC roots is for the flavor's own programs or for imprint.
func (f Flavor) Reserves(name string) bool { return slices.Contains(f.state.reserved, name) }

// RootCommand returns the command that makes an item a GC root, with LINK for the link and what for the item.
func (f Flavor) RootCommand(what string) string { return f.state.root + what }

// flavor returns the flavor whose store directory a path is in.
func (p Path) flavor() Flavor {
	if f, ok := flavorOf(p.text); ok {
		return f
	}
	return Nix
}

// flavorOf returns the flavor whose store directory a path is below.
func flavorOf(path string) (f Flavor, ok bool) {
	i := slices.IndexFunc(Flavors(), func(f Flavor) bool { return strings.HasPrefix(path, f.StoreDir+"/") })
	if i < 0 {
		return Flavor{}, false
	}
	return Flavors()[i], true
}

// notOf is the end of an error about a path that is not below a flavor's store directory: "", or that it is below that of another flavor.
func (f Flavor) notOf(path string) string {
	if other, ok := flavorOf(path); ok && other != f {
		return fmt.Sprintf(": it is one of flavor %q", other.Name)
	}
	return ""
}

// OtherAt returns the flavor of a store below prefix that is not of this one, as [OpenLocal] would open it.
func (f Flavor) OtherAt(prefix string) (other Flavor, ok bool) {
	for _, other := range Flavors() {
		if _, err := os.Stat(strings.TrimRight(prefix, "/") + other.Database()); err == nil && other != f {
			return other, true
		}
	}
	return Flavor{}, false
}
