package diff

import (
	"regexp"
	"strings"
)

// Patterns for the explanations that the readers of all formats return ([disk.Disk.Explain]). The *Field patterns match names of fields, which are
// those of the specifications or of Linux: s_uuid, VolID, i_blocks. placed matches structures whose bytes change when files move, unusedPlace
// bytes that hold nothing, packed those of compressed contents and structures, and identifier UUIDs, the PARTUUIDs of an MBR and the serial numbers of FAT.
var (
	idField      = regexp.MustCompile(`(?i)uuid|diskguid|uniquepartitionguid|serial|volid|hash_seed|disksignature|checksum_seed`)
	attrField    = regexp.MustCompile(`i_mode|uid|gid`)
	sizeField    = regexp.MustCompile(`(?i)size|i_blocks`)
	timeField    = regexp.MustCompile(`(?i)time|date|lastcheck|h_sequence`)
	derivedField = regexp.MustCompile(`(?i)checksum|crc|csum|free_|freecount|free_count|nxt_free|nxtfree|used_dirs|unused_count|kbytes_written|bitmap of group|bytes_used|_table_start|root_inode`)
	placed       = regexp.MustCompile(`^(inode|directory|group descriptor|extent tree|block map|FAT [12]|extended attributes|file|symlink|journal|path table)\b|, record of |path table`)
	unusedPlace  = regexp.MustCompile(`^free\b|^unused|, unused|^(file|symlink|directory) tail after |: unused|(?i:\breserved\b)|padding|^after the|^outside of|^bad cluster|in use by no file|^journal, block`)
	packed       = regexp.MustCompile(`^(packed|metadata of|pointer to the table of) `)
	identifier   = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|\b[0-9a-fA-F]{8}-[0-9]{2}\b|\b[0-9A-F]{4}-[0-9A-F]{4}\b`)
)

// classOf returns the class of a byte, given the explanation of its place and the name of its field.
func classOf(place, field string) Class {
	switch {
	case unusedPlace.MatchString(place):
		return Unused
	case derivedField.MatchString(field), packed.MatchString(place), strings.HasPrefix(place, "backup "), strings.Contains(place, " copy in group "), strings.Contains(place, "bitmap of group"):
		return Derived
	case idField.MatchString(field):
		return ID
	case timeField.MatchString(field), strings.Contains(place, ", TF, "): // TF has the times in Rock Ridge
		return Time
	}
	return Structure
}

// onlyIDs reports whether two texts are equal but for identifiers: UUIDs, signatures of disks, serial numbers of volumes.
func onlyIDs(a, b string) bool {
	return identifier.ReplaceAllString(a, "#") == identifier.ReplaceAllString(b, "#")
}
