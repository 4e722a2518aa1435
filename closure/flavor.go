package closure

import "fmt"

// A Flavor is a kind of store: its directories and its rules. The store directory is part of every store path's hash, so an item belongs
// to one flavor.
type Flavor struct {
	Name       string // as in an image description
	StoreDir   string // of the items
	StateDir   string // of database, GC roots and profiles
	Schema     string // version of the database: the content of the file "schema" beside it
	StoreMode  uint16 // permissions of the store directory
	StoreGroup uint32 // its group: that of the build users

	LinkMinSize  int64 // bytes of the smallest files that the store's optimiser links
	LinkSymlinks bool  // whether it links equal symlinks too
}

// Nix is the flavor of Nix and NixOS: schema 10 since Nix 2.0 (local-store.hh, nixSchemaVersion); group 30000 is the nixbld of NixOS
// (nixos/modules/misc/ids.nix); the optimiser links whatever it can (optimise-store.cc).
var Nix = Flavor{
	Name:         "nix",
	StoreDir:     "/nix/store",
	StateDir:     "/nix/var/nix",
	Schema:       "10",
	StoreMode:    0o1775,
	StoreGroup:   30000,
	LinkMinSize:  0,
	LinkSymlinks: true,
}

// Database is the path of the store's database.
func (f Flavor) Database() string { return f.StateDir + "/db/db.sqlite" }

// FlavorNamed returns the flavor with a name.
func FlavorNamed(name string) (Flavor, error) {
	switch name {
	case Nix.Name:
		return Nix, nil
	case "guix":
		// /gnu/store, /var/guix, schema 7, links from 8192 bytes on and no symlinks: only its database is missing.
		return Flavor{}, fmt.Errorf(`flavor "guix" is not supported yet, only "nix" is`)
	}
	return Flavor{}, fmt.Errorf(`unknown flavor %q, only "nix" is supported`, name)
}
