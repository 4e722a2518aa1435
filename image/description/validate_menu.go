package description

import (
	"fmt"

	"imprint/bootloader"
	"imprint/internal/diag"
)

// maxLine is the maximum length of a line of a loader's configuration in bytes.
const maxLine = 4096

// looks checks how the menu looks and behaves.
func (c *checker) looks(l *bootloader.Loader) {
	b := &c.d.Boot
	for _, color := range []Text{b.Color, b.Highlight} {
		if c.only(color.Key, l, l.Looks, haveLooks); color.Written() && l.Looks {
			if err := bootloader.CheckColor(color.V); err != nil {
				c.ReportError(color.Key, err)
			}
		}
	}
	c.only(b.Background.Key, l, l.Looks, haveLooks)
	c.only(b.Editor.Key, l, l.Editor, haveEditor)
	c.only(b.Mode.Key, l, l.Modes != nil, haveModes)
	if c.only(b.Lines.Key, l, l.ConfigFile != "", takeLines); l.ConfigFile == "" {
		return
	}
	for _, line := range b.Lines.Items {
		switch err := l.CheckLine(line.V); {
		case hasControl(line.V):
			c.Report(line.Key, "contains a control character", "write each line as a text of its own")
		case len(line.V) > maxLine:
			c.Report(line.Key, fmt.Sprintf("is %d bytes long, more than %d", len(line.V), maxLine), "")
		case err != nil:
			c.ReportError(line.Key, err)
		}
	}
}

// only reports a key that the loader has no use for, and names those that have one.
func (c *checker) only(k diag.Key, l *bootloader.Loader, has bool, have func(*bootloader.Loader) bool) {
	if k.Written && !has {
		c.Report(k, fmt.Sprintf("has no effect with %s", describe(l)), "it is for loader = "+alternatives(loadersThat(have)))
	}
}
