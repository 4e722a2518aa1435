// Package language says what each key of an image description means and which values it takes: its doc comment, words, form, bounds, default and
// examples, each in one row. Parsing, the JSON Schema and the manual all derive from it. It knows no Go type of the description, and decides nothing.
package language

import (
	"imprint/internal/keyed"
	"imprint/partition"
)

// Formats of the disk. This package spells no word for a file system, an engine, a partition table or a boot loader:
// they come from the rows of [partition] and [bootloader].
const (
	FormatRaw = "raw"
	FormatISO = partition.ISO
)

// Forms of text.
const (
	MBRTypeForm     = "^0x[0-9A-Fa-f]{2}$"
	ImageNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	ClosureNameForm = "^[A-Za-z0-9_-]+$"
	absoluteForm    = "^/"
	LayerNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	DigestForm      = "^(sha256:)?[0-9a-f]{64}$"
	InputNameForm   = "^[A-Za-z0-9][A-Za-z0-9._+-]*$"
	UserForm        = "^([0-9]+|[A-Za-z_][A-Za-z0-9_.-]*[$]?)$"
	AccountForm     = "^[A-Za-z_][A-Za-z0-9_.-]*[$]?$" // useradd(8), with capitals
)

// MaxPartitions is the number of entries of the table that every firmware reads (UEFI 2.10, 5.3.2).
const MaxPartitions = 128

// Bounds of integers.
const (
	maxEpoch   = 1<<32 - 1 // seconds since 1970: the last one in a superblock of ext4, in 2106
	maxTimeout = 1<<16 - 1 // seconds
	maxOwner   = 1<<32 - 2 // of a user or group; the next number means "none" to chown(2)
	maxOutputs = 32        // elements of [[output]]: each has files open
	maxLevel   = 19        // of compression
	maxLines   = 1024      // that a loader's configuration gets
	maxKeys    = 64        // of a cache
	maxPlaces  = 64        // of an input
	maxTables  = 1024      // elements of [[partition]], the largest tables in memory
)

// Numeric defaults other than zero.
const (
	Timeout    = 3   // seconds
	SectorSize = 512 // bytes
)

// Keys returns the rule of every key, by its path without indices.
func Keys() map[string]keyed.Rule {
	rules := map[string]keyed.Rule{}
	for _, part := range []map[string]keyed.Rule{disk, inputs, boot, partitions, contents, steps} {
		for path, rule := range part {
			rule.Default, rule.Examples = defaults[path], examples[path]
			rules[path] = rule
		}
	}
	return rules
}
