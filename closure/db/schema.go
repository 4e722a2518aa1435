// Package db reads and writes the SQLite database in which Nix or Guix registers valid store items.
package db

// An Item is one valid item: its row in ValidPaths, with the rows of Refs and DerivationOutputs that belong to it.
type Item struct {
	Path       string
	NARHash    [32]byte // SHA-256
	NARSize    int64    // bytes
	Deriver    string   // "" for none
	CA         string   // "" for none, as with Guix
	Sigs       []string // none with Guix
	References []string // paths, the item's own included if it refers to itself; sorted by Source.Item
	Outputs    []Output // sorted by ID by Source.Item
}

// An Output is a row of DerivationOutputs: what a derivation builds, valid or not.
type Output struct{ ID, Path string }

// A Schema is the form of a store's database. There are two, [Nix] and [Guix]; their tables differ in a few columns.
type Schema struct {
	name       string
	statements string
	signed     bool // ValidPaths has signatures and content addresses
}

// Nix is schema 10 (schema.sql of Nix 2.8). Nix 2.35 and later leave IndexReferrer out and accept it.
var Nix = &Schema{"Nix's schema 10", validPaths + `,
    ultimate         integer,
    sigs             text,
    ca               text
);
` + otherTables, true}

// Guix is schema 7, that of Nix before version 1.8 (guix/store/schema.sql). Guix records in FailedPaths what could not be built.
var Guix = &Schema{"Guix's schema 7", validPaths + "\n);\n" + otherTables + `create table FailedPaths (
    path text primary key not null,
    time integer not null
);
`, false}

const validPaths = `
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer`

const otherTables = `create table Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create table DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create index IndexDerivationOutputs on DerivationOutputs(path);
`

// columns returns the columns that are read, by table.
func (s *Schema) columns() map[string][]string {
	valid := []string{"id", "path", "hash", "deriver", "narSize"}
	if s.signed {
		valid = append(valid, "sigs", "ca")
	}
	return map[string][]string{"ValidPaths": valid, "Refs": {"referrer", "reference"}, "DerivationOutputs": {"drv", "id", "path"}}
}

// selectItem asks for the columns of an item, with NULL for those that the schema does not have.
func (s *Schema) selectItem() string {
	more := "sigs, ca"
	if !s.signed {
		more = "null, null"
	}
	return "select id, path, hash, narSize, deriver, " + more + " from ValidPaths"
}

// insertion returns the statement that adds a row to ValidPaths: the columns of values, then time and deriver.
func (s *Schema) insertion() string {
	if s.signed {
		return "insert into ValidPaths (hash, narSize, sigs, ca, path, registrationTime, deriver) values (?, ?, ?, ?, ?, ?, ?)"
	}
	return "insert into ValidPaths (hash, narSize, path, registrationTime, deriver) values (?, ?, ?, ?, ?)"
}

// change returns the statement that sets the columns of values for a path (registerValidPaths in Nix's local-store.cc).
func (s *Schema) change() string {
	if s.signed {
		return "update ValidPaths set hash = ?, narSize = ?, sigs = ?, ca = ?, ultimate = null where path = ?"
	}
	return "update ValidPaths set hash = ?, narSize = ? where path = ?"
}
