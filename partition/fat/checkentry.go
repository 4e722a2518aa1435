package fat

import "fmt"

// fields checks the fields of a directory entry besides its name and its first cluster.
func (d *dirScan) fields(it *item) {
	if d.report == nil {
		return
	}
	wrong := func(format string, args ...any) { d.wrong(it.slot, fmt.Sprintf(format, args...)) }
	isDir, isLabel := it.Attr&attrDir != 0, it.Attr&attrVolume != 0
	if it.Attr&^attrMask != 0 || isDir && isLabel {
		wrong("Attr is 0x%02x, which is not that of a file, directory or label", it.Attr)
	}
	if it.NTRes&^(lowerBase|lowerExt) != 0 {
		wrong("NTRes is 0x%02x, only 0x%02x and 0x%02x are known", it.NTRes, lowerBase, lowerExt)
	}
	if d.bits != 32 && it.FstClusHI != 0 {
		wrong("FstClusHI is %d, 0 is expected in FAT%d", it.FstClusHI, d.bits)
	}
	if isLabel && (it.FstClusHI != 0 || it.FstClusLO != 0) {
		wrong("a label has cluster %d", it.cluster(d.bits))
	}
	if (isDir || isLabel) && it.FileSize != 0 {
		wrong("FileSize is %d, 0 is expected", it.FileSize)
	}
	dot := it.Name == newShort(".", "") || it.Name == newShort("..", "")
	if err := it.Name.check(); err != nil && !isLabel && !dot {
		wrong("%v", err)
	}
	d.times(it, wrong)
}

// times checks dates and times. Those of creation and last access are optional.
func (d *dirScan) times(it *item, wrong func(string, ...any)) {
	if it.CrtTimeTenth > 199 {
		wrong("CrtTimeTenth is %d, 199 is the most", it.CrtTimeTenth)
	}
	for _, f := range []struct {
		name        string
		date, clock uint16
	}{{"Wrt", it.WrtDate, it.WrtTime}, {"Crt", it.CrtDate, it.CrtTime}, {"LstAcc", it.LstAccDate, 0}} {
		if _, ok := parseTime(f.date, f.clock); !ok && (f.date != 0 || f.clock > 0) {
			wrong("%sDate 0x%04x and %sTime 0x%04x are not a time", f.name, f.date, f.name, f.clock)
		}
	}
}
