package description

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"imprint/bootloader"
	"imprint/image/description/language"
	"imprint/internal/diag"
	"imprint/internal/keyed"
	"imprint/partition"
)

// boot checks the loader and its entries.
func (c *checker) boot() {
	b := &c.d.Boot
	loader, err := bootloader.Named(b.Loader.V)
	if err != nil {
		loader, _ = bootloader.Named("") // the decoder has reported the unknown name
	}
	switch {
	case err != nil:
	case loader.None():
		c.noLoader()
	default:
		c.loader(loader)
	}
	c.menu()
	for i := range b.Entry.Items {
		c.entry(&b.Entry.Items[i], loader)
	}
}

// loader checks that the loader has entries to start and the partitions that it needs.
func (c *checker) loader(l *bootloader.Loader) {
	k := c.d.Boot.Loader.Key
	if !c.d.HasBootEntries() {
		c.Report(k, "has no boot entry", "add [[boot.entry]] with title, kernel, initrd and cmdline, or system for NixOS")
	}
	c.needsArch(k, l.Name)
	if c.d.isISO() && !l.ISO {
		c.Report(k, fmt.Sprintf("%q cannot boot an ISO", l.Name), "write loader = "+language.Alternatives(language.LoadersThat(language.BootISO)))
		return
	}
	m := c.d.Machine()
	required := l.Requires(m)
	if t := required.Table; t != "" && t != m.Table {
		c.Report(k, fmt.Sprintf("%s needs table = %q, not %q", l.Name, t, m.Table), fmt.Sprintf("write table = %q", t))
	}
	for _, r := range required.Partitions {
		if !r.Met(m) {
			c.Report(k, fmt.Sprintf("%s needs a partition of type %q", r.For, r.Type), partitionLines(r))
		}
	}
	if required.BIOS {
		c.startsFromBIOS(l)
	}
	c.defaultEntry()
	c.consoles()
	c.unfit(l, required)
	c.xbootldr(l, m)
	c.copyKernel(l, m)
	c.signing(l)
	c.looks(l)
}

// startsFromBIOS checks that the architecture has a BIOS, and the sector size: a BIOS only knows sectors of 512 bytes.
func (c *checker) startsFromBIOS(l *bootloader.Loader) {
	c.noBIOS(c.d.Boot.Loader.Key, l.Name, "")
	if size := c.d.SectorSize; size.V != 0 && size.V != bootloader.BIOSSector {
		c.Report(size.Key, fmt.Sprintf("is %d, but a BIOS boots only from sectors of %d bytes", size.V, bootloader.BIOSSector), "")
	}
}

// unfit reports keys that have no meaning for the loader.
func (c *checker) unfit(l *bootloader.Loader, required bootloader.Requirements) {
	if k := c.d.Boot.Timeout.Key; k.Written && !l.Menu {
		c.Report(k, "has no effect: there is no menu, the firmware starts the default entry", "remove it")
	}
	startsEFI := slices.ContainsFunc(required.Inputs, func(in bootloader.Input) bool { return in.EFI })
	if k := c.d.Boot.EFIBinary.Key; k.Written && !startsEFI {
		c.Report(k, fmt.Sprintf("has no effect: %s is not started by UEFI here", l.Name), "remove it")
	}
}

// xbootldr reports an XBOOTLDR partition that the loader does not find.
func (c *checker) xbootldr(l *bootloader.Loader, m bootloader.Machine) {
	for i, p := range m.Partitions {
		if l.XBOOTLDRInGPT && m.Table == partition.MBR && p.Type == "xbootldr" {
			c.Report(c.d.Partition.Items[i].Type.Key, fmt.Sprintf("%s finds no XBOOTLDR partition in an MBR", l.Name),
				fmt.Sprintf("remove the partition, or write table = %q", partition.GPT))
		}
	}
}

// partitionLines is the hint for a partition that a loader needs: the lines to add.
func partitionLines(r bootloader.Requirement) string {
	intro := "add one"
	if r.Or != "" {
		intro += " (" + r.Or + ")"
	}
	return fmt.Sprintf("%s:\n[[partition]]\nname = %q\ntype = %q\nfilesystem = %q\nsize = %q", intro, r.Type, r.Type, r.Filesystem, r.Size)
}

// defaultEntry checks that the default is the title of exactly one entry.
func (c *checker) defaultEntry() {
	wanted := c.d.Boot.Default
	if wanted.V == "" || c.d.BootsSystems() {
		return // the titles of systems are in the systems
	}
	var titles []string
	n := 0
	for _, e := range c.d.Boot.Entry.Items {
		titles = append(titles, e.Title.V)
		if e.Title.V == wanted.V {
			n++
		}
	}
	switch {
	case n == 0:
		c.Report(wanted.Key, fmt.Sprintf("there is no entry with the title %q", wanted.V), keyed.Meant(wanted.V, titles))
	case n > 1:
		c.Report(wanted.Key, fmt.Sprintf("%q is the title of several entries", wanted.V), "give each a title of its own")
	}
}

var consoleText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(,[A-Za-z0-9,]+)?$`)

// consoles checks the form of consoles. They are also added to menus, where a stray space or quote would end up in a
// configuration.
func (c *checker) consoles() {
	for _, console := range c.d.Boot.Console.Items {
		if !consoleText.MatchString(console.V) {
			c.Report(console.Key, fmt.Sprintf("%q is not a console", console.V), `as in "tty0" or "ttyS0,115200"`)
		}
	}
}

// copyKernel checks that the loader can read kernels where they will be: in the store, or in copies on a partition for them.
func (c *checker) copyKernel(l *bootloader.Loader, m bootloader.Machine) {
	k := c.d.Boot.CopyKernel
	switch {
	case !l.ReadsStore && k.Written():
		c.Report(k.Key, fmt.Sprintf("has no effect: %s reads only FAT, so kernels are always copied", l.Name), "it is for loader = "+language.Alternatives(language.LoadersThat(language.ReadStore)))
	case !l.ReadsStore || l.CanRead(m) || c.d.isISO():
	case k.Written() && !k.V:
		c.Report(k.Key, fmt.Sprintf("%s cannot read the file system of the store", l.Name),
			"remove it: kernels are then copied to the ESP or XBOOTLDR partition")
	case !hasBootPartition(m):
		c.Report(c.d.Boot.Loader.Key,
			fmt.Sprintf("%s cannot read the file system of the store, and there is no other partition for kernels", l.Name),
			`add a partition of type "xbootldr" or "esp"`)
	}
}

// noLoader reports keys for a loader in an image without one.
func (c *checker) noLoader() {
	b := &c.d.Boot
	if b.Loader.Written() { // loader = "none": the entries are for --export-boot
		c.defaultEntry()
		c.consoles()
	} else {
		c.unused(b.Default.Key, b.Console.Key, b.System.Key, b.Entry.Key)
	}
	c.unused(b.Timeout.Key, b.CopyKernel.Key, b.EFIBinary.Key, b.SignKey.Key, b.SignCert.Key)
	c.unused(b.Color.Key, b.Highlight.Key, b.Background.Key, b.Editor.Key, b.Mode.Key, b.Lines.Key)
}

// unused reports keys that need a loader.
func (c *checker) unused(keys ...diag.Key) {
	for _, k := range keys {
		if k.Written {
			c.Report(k, "has no effect without a boot loader",
				fmt.Sprintf("add loader = %q to [boot], or loader = %q if the entries are only for --export-boot", language.LoadersThat(language.DoBoot)[0], c.d.loader().Name))
		}
	}
}

// entry checks a boot entry. Substitutions in its command line count as empty here; the complete line is checked when they are
// known.
func (c *checker) entry(e *Entry, l *bootloader.Loader) {
	c.kernelOrSystem(e)
	c.bootFile(e.Kernel)
	for _, initrd := range e.Initrd.Items {
		c.bootFile(initrd)
	}
	c.bootFile(e.DeviceTree)
	if k := e.DeviceTree.Key; k.Written && !l.DeviceTree && !c.Reported(c.d.Boot.Loader.Key.Path) {
		c.Report(k, fmt.Sprintf("has no effect with %s", describe(l)), "it is for loader = "+language.Alternatives(language.LoadersThat(language.TakeDeviceTree)))
	}
	if !c.Reported(c.d.Boot.Loader.Key.Path) {
		c.only(e.Submenu.Key, l, l.Submenus, language.HaveSubmenus)
		c.only(e.Plain.Key, l, !l.OnlyLinux, language.StartPlain)
	}
	if hasControl(e.Submenu.V) || e.Submenu.Written() && strings.TrimSpace(e.Submenu.V) == "" {
		c.Report(e.Submenu.Key, "is empty, or contains a control character", `as in "Advanced options"`)
	}
	cmdline := e.Cmdline
	c.template(cmdline)
	if hasControl(string(cmdline.V)) {
		c.Report(cmdline.Key, "contains a control character", `use one line, as in "init=${closure.system}/init quiet"`)
	}
	if err := l.CheckCmdline(c.d.Arch.V, cmdline.V.Expand(func(Reference) string { return "" })); err != nil {
		c.ReportError(cmdline.Key, err)
	}
	if err := l.CheckTitle(e.Title.V); err != nil {
		c.ReportError(e.Title.Key, err)
	}
}

// describe names the loader in a message.
func describe(l *bootloader.Loader) string {
	if l.None() {
		return "no boot loader"
	}
	return l.Name
}

// signing checks that key and certificate are both given, and that the loader makes something to language.Sign.
func (c *checker) signing(l *bootloader.Loader) {
	key, cert := c.d.Boot.SignKey, c.d.Boot.SignCert
	for _, k := range []diag.Key{key.Key, cert.Key} {
		if k.Written && !l.Signs {
			c.Report(k, fmt.Sprintf("is for unified kernel images, but the loader is %s", l.Name), "it is for loader = "+language.Alternatives(language.LoadersThat(language.Sign)))
		}
	}
	switch {
	case key.V != "" && cert.V == "":
		c.Report(cert.Key, "is required with sign-key", "name the key's certificate")
	case key.V == "" && cert.V != "":
		c.Report(key.Key, "is required with sign-certificate", "name the certificate's key")
	}
}
