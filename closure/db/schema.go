// Package db reads and writes the SQLite database in which Nix registers valid store items.
package db

// An Item is one valid item: its row in ValidPaths, with the rows of Refs and DerivationOutputs that belong to it.
type Item struct {
	Path       string
	NARHash    [32]byte // SHA-256
	NARSize    int64    // bytes
	Deriver    string   // "" for none
	CA         string   // "" for none
	Sigs       []string
	References []string // paths, the item's own included if it refers to itself; sorted by Source.Item
	Outputs    []Output // sorted by ID by Source.Item
}

// An Output is a row of DerivationOutputs: what a derivation builds, valid or not.
type Output struct{ ID, Path string }

// schema is Nix's schema 10 (schema.sql of Nix 2.8). Nix 2.35 and later leave IndexReferrer out and accept it.
const schema = `
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table Refs (
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

// columns lists the columns that are read, by table.
var columns = map[string][]string{
	"ValidPaths":        {"id", "path", "hash", "deriver", "narSize", "sigs", "ca"},
	"Refs":              {"referrer", "reference"},
	"DerivationOutputs": {"drv", "id", "path"},
}
