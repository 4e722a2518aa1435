package image

import (
	"fmt"
	"regexp"

	"github.com/google/uuid"
)

// Bounds of the language.
const (
	maxNameLength = 200
	maxPartitions = 128 // entries of the GPT that every firmware reads (UEFI 2.10, 5.3.2)
)

var (
	imageName   = regexp.MustCompile(imageNameForm)
	closureName = regexp.MustCompile(closureNameForm)
	uuidText    = regexp.MustCompile(uuidForm)
	fatSerial   = regexp.MustCompile(fatSerialForm)
)

// validate checks what needs no look at the world, and changes nothing.
func (c *checker) validate() {
	c.disk()
	c.closures()
	c.boot()
	c.partitions()
	c.iso()
}

// sectorSize is the size of a logical sector in bytes.
func (d *Description) sectorSize() int64 {
	if d.SectorSize == 4096 {
		return 4096
	}
	return 512
}

// disk checks the keys at the top.
func (c *checker) disk() {
	d := c.d
	if d.Name != "" && (!imageName.MatchString(d.Name) || len(d.Name) > maxNameLength) {
		c.report("name", fmt.Sprintf("%q is not fit for the name of a file", d.Name),
			fmt.Sprintf("up to %d of a-z A-Z 0-9 . _ + -, with a letter or digit first", maxNameLength))
	}
	if d.Unique && d.Seed != "" {
		c.report("unique", "excludes seed: ids are new in every build, or derive from a text", "leave one of the two out")
	}
	c.uuid("uuid", d.UUID)
	c.withoutMBR("uuid")
	for i, raw := range d.Raw {
		key := fmt.Sprintf("raw[%d].offset", i)
		if raw.Offset.Auto {
			c.report(key, `"auto" is for the size of a partition`, `as in "8KiB"`)
		} else if sector := d.sectorSize(); raw.Offset.Bytes%sector != 0 {
			c.report(key, fmt.Sprintf("%d is not a multiple of the sector size, %d", raw.Offset.Bytes, sector), "")
		}
	}
}

// uuid checks the textual form of an identifier; an absent one is right.
func (c *checker) uuid(key, text string) {
	switch {
	case text == "":
	case !uuidText.MatchString(text):
		c.report(key, fmt.Sprintf("%q is not a UUID", text), `as in "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"`)
	case text == uuid.Nil.String():
		c.report(key, "is all zeros, which means that there is none", "leave it out to have one derived")
	}
}

// A unique set knows what is taken, and by which key.
type unique map[string]string

// unique reports a value that another key has already; what names the kind of value.
func (c *checker) unique(taken unique, key, value, what string) {
	if value == "" {
		return
	}
	if first, ok := taken[value]; ok {
		c.report(key, fmt.Sprintf("%s %q is taken by %s", what, value, first), "")
		return
	}
	taken[value] = key
}
