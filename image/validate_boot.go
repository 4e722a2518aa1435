package image

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"imprint/bootloader"
)

// boot checks the loader and its entries.
func (c *checker) boot() {
	b := c.d.Boot
	switch {
	case b.Loader == loaderNone || b.Loader == "":
		c.noLoader()
	case !c.told["boot.loader"]:
		c.loader(b.Loader)
	}
	for i, e := range b.Entry {
		c.entry(fmt.Sprintf("boot.entry[%d]", i), e)
	}
}

// loader checks that there is what a loader starts, and the partitions that it needs.
func (c *checker) loader(name string) {
	if len(c.d.Boot.Entry) == 0 {
		c.report("boot.loader", "has no entry to boot", "add [[boot.entry]] with title, kernel, initrd and cmdline")
	}
	c.needsArch("boot.loader", name)
	loader, err := bootloader.Named(name)
	if err != nil {
		c.reportError("boot.loader", err)
		return
	}
	if c.d.Format == formatISO && name != loaderGRUB {
		c.report("boot.loader", fmt.Sprintf("%q boots no ISO", name), `write loader = "grub"`)
		return
	}
	m := c.d.machine()
	required := loader.Requires(m)
	if t := required.Table; t != "" && t != m.Table {
		c.report("boot.loader", fmt.Sprintf("%s starts from an MBR, and the table is %s", name, m.Table), fmt.Sprintf("write table = %q", t))
	}
	for _, r := range required.Partitions {
		if !r.Met(m) {
			c.report("boot.loader", fmt.Sprintf("%s needs a partition of type %q", r.For, r.Type), partitionLines(r))
		}
	}
	if required.BIOS && c.d.Arch != "" && c.d.Arch != "x86_64" {
		c.report("boot.loader", fmt.Sprintf("%s is for a BIOS, which no machine of %s has", name, c.d.Arch), "")
	}
	if required.BIOS && c.d.sectorSize() != biosSector {
		c.report("sector-size", fmt.Sprintf("is %d, and a BIOS boots from sectors of %d bytes", c.d.sectorSize(), biosSector), "")
	}
	c.defaultEntry()
	c.consoles()
	if name == loaderUKI && c.d.has("boot.timeout") {
		c.report("boot.timeout", "there is no menu that waits: the firmware starts the default entry", "leave it out")
	}
	if c.d.has("boot.efi-binary") && !slices.ContainsFunc(required.Inputs, func(in bootloader.Input) bool { return in.EFI }) {
		c.report("boot.efi-binary", fmt.Sprintf("%s starts from no EFI program here", name), "leave it out")
	}
	c.xbootldr(name, m)
	c.copyKernel(name)
	c.signing(name)
}

// xbootldr reports a partition that the loader does not find: systemd-boot looks for it in a GPT alone.
func (c *checker) xbootldr(loader string, m bootloader.Machine) {
	for i, p := range m.Partitions {
		if loader == loaderSystemdBoot && m.Table == tableMBR && p.Type == "xbootldr" {
			c.report(partitionKey(i)+".type", "systemd-boot finds no XBOOTLDR partition in an MBR", `leave the partition out, or write table = "gpt"`)
		}
	}
}

// partitionLines is the hint that shows the partition a loader needs.
func partitionLines(r bootloader.Requirement) string {
	intro := "add one"
	if r.Or != "" {
		intro += " (" + r.Or + ")"
	}
	return fmt.Sprintf("%s:\n[[partition]]\nname = %q\ntype = %q\nfilesystem = %q\nsize = %q", intro, r.Type, r.Type, r.Filesystem, r.Size)
}

// defaultEntry checks that the default is the title of one entry.
func (c *checker) defaultEntry() {
	if c.d.Boot.Default == "" {
		return
	}
	var titles []string
	for _, e := range c.d.Boot.Entry {
		titles = append(titles, e.Title)
	}
	isDefault := func(title string) bool { return title == c.d.Boot.Default }
	first := slices.IndexFunc(titles, isDefault)
	switch {
	case first < 0:
		c.report("boot.default", fmt.Sprintf("%q is the title of no entry", c.d.Boot.Default), meant(c.d.Boot.Default, titles))
	case slices.ContainsFunc(titles[first+1:], isDefault):
		c.report("boot.default", fmt.Sprintf("%q is the title of several entries", c.d.Boot.Default), "give each a title of its own")
	}
}

func (c *checker) consoles() {
	for i, console := range c.d.Boot.Console {
		if !consoleText.MatchString(console) {
			c.report(fmt.Sprintf("boot.console[%d]", i), fmt.Sprintf("%q is not a console", console), `as in "tty0" or "ttyS0,115200"`)
		}
	}
}

var consoleText = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(,[A-Za-z0-9,]+)?$`)

// copyKernel checks that the loader can do without copies.
func (c *checker) copyKernel(loader string) {
	if !readsStore(loader) && c.d.has("boot.copy-kernel") {
		c.report("boot.copy-kernel", fmt.Sprintf("%s reads FAT alone, and always has copies there", loader), `it is for loader = "grub" and "extlinux"`)
	}
}

// noLoader checks that nothing is said to a loader that is not there.
func (c *checker) noLoader() {
	if c.d.has("boot.loader") { // "none" in so many words: what the entries name is for --export-boot
		c.defaultEntry()
		c.consoles()
	} else {
		c.unused("boot.default", "boot.console", "boot.entry")
	}
	c.unused("boot.timeout", "boot.copy-kernel", "boot.efi-binary", "boot.sign-key", "boot.sign-certificate")
}

// unused reports keys for a loader that is not there.
func (c *checker) unused(keys ...string) {
	for _, key := range keys {
		if c.d.has(key) {
			c.report(key, "there is no loader for it", `add loader = "systemd-boot" to [boot], or "none" for entries that only --export-boot uses`)
		}
	}
}

// needsArch reports that the architecture is missing when a key depends on it.
func (c *checker) needsArch(key, value string) {
	if c.d.Arch == "" {
		c.report("arch", fmt.Sprintf("is required: %s = %q depends on it", key, value), `as in arch = "x86_64"`)
	}
}

func (c *checker) entry(key string, e EntryDescription) {
	c.template(key+".kernel", e.Kernel)
	c.template(key+".cmdline", e.Cmdline)
	if strings.ContainsFunc(string(e.Cmdline), unicode.IsControl) {
		c.report(key+".cmdline", "has a control character in it", `one line, as in "init=${closure.system}/init quiet"`)
	}
	if err := c.d.checkCmdline(e.Cmdline.Expand(func(Reference) string { return "" })); err != nil {
		c.reportError(key+".cmdline", err)
	}
	if c.d.Boot.Loader == loaderExtlinux && strings.HasPrefix(strings.TrimLeft(e.Title, " "), "#") {
		c.report(key+".title", "begins with #, which is a comment to U-Boot", "")
	}
	c.path(key+".kernel", e.Kernel)
	c.deviceTree(key+".devicetree", e.DeviceTree)
	for i, initrd := range e.Initrd {
		element := fmt.Sprintf("%s.initrd[%d]", key, i)
		c.template(element, initrd)
		c.path(element, initrd)
	}
}

// deviceTree checks that there is a loader that can be told of one.
func (c *checker) deviceTree(key string, t Template) {
	c.template(key, t)
	c.path(key, t)
	if c.d.has(key) && c.d.Boot.Loader != loaderExtlinux {
		c.report(key, "is told to U-Boot alone", `it is for loader = "extlinux"`)
	}
}

// signing checks that key and certificate come together, for what is signed.
func (c *checker) signing(loader string) {
	for _, key := range []string{"boot.sign-key", "boot.sign-certificate"} {
		if c.d.has(key) && loader != loaderUKI {
			c.report(key, "signs unified kernel images, and the loader is "+loader, `it is for loader = "uki"`)
		}
	}
	switch b := c.d.Boot; {
	case b.SignKey != "" && b.SignCert == "":
		c.report("boot.sign-certificate", "is required with sign-key", "name the key's certificate")
	case b.SignKey == "" && b.SignCert != "":
		c.report("boot.sign-key", "is required with sign-certificate", "name the certificate's key")
	}
}

// path checks the template of a path.
func (c *checker) path(key string, t Template) {
	if t == "" && c.d.has(key) {
		c.report(key, "is empty", "")
	}
	if strings.ContainsFunc(string(t), unicode.IsControl) {
		c.report(key, "has a control character in it", "")
	}
}

// template checks the substitutions in a text, and that what they refer to is in the description.
func (c *checker) template(key string, t Template) {
	refs, errs := t.references()
	for _, ref := range refs {
		if err := c.resolves(ref); err != nil {
			errs = append(errs, err)
		}
	}
	for _, err := range errs {
		c.told[key] = false // one text, but every mistake in it
		c.reportError(key, err)
	}
}

// resolves tells what is wrong with a reference; a name that is missing where it should be defined is told there.
func (c *checker) resolves(ref Reference) error {
	switch ref.Kind {
	case "closure":
		return c.resolvesClosure(ref)
	case "partition":
		return c.resolvesPartition(ref)
	case "iso":
		if c.d.Format != formatISO {
			return mistake{fmt.Sprintf("${iso.%s}: the image is no ISO", ref.Field), "a partition's is ${partition.NAME." + ref.Field + "}"}
		}
	}
	return nil
}

func (c *checker) resolvesClosure(ref Reference) error {
	var names []string
	for i, d := range c.d.Closure {
		names = append(names, d.Name)
		if d.Name != ref.Name || c.told[fmt.Sprintf("closure[%d].roots", i)] {
			continue
		}
		switch n := len(d.Roots); {
		case ref.indexed && ref.Index >= n:
			return mistake{text: fmt.Sprintf("${closure.%s.%d}: the roots of the closure are 0 to %d", ref.Name, ref.Index, n-1)}
		case !ref.indexed && n > 1:
			return mistake{
				fmt.Sprintf("${closure.%s}: the closure has %d roots", ref.Name, n),
				fmt.Sprintf("say which one, as in ${closure.%s.0}", ref.Name),
			}
		}
	}
	return c.known(ref.Name, names, "closure")
}

func (c *checker) resolvesPartition(ref Reference) error {
	var names []string
	for _, p := range c.d.Partition {
		names = append(names, p.Name)
		if p.Name == ref.Name && c.d.Format == formatISO {
			if err := resolvesInISO(ref, p); err != nil {
				return err
			}
		}
		if p.Name == ref.Name && p.Filesystem == filesystemNone && ref.Field != "partuuid" {
			return mistake{fmt.Sprintf("${partition.%s.%s}: the partition has no file system", ref.Name, ref.Field), "it has a partuuid"}
		}
	}
	return c.known(ref.Name, names, "partition")
}

// known tells that no closure or partition has a name. One without a name may be the one that is meant; that
// it has none is told already.
func (c *checker) known(name string, names []string, kind string) error {
	if slices.Contains(names, name) || slices.Contains(names, "") || c.told[kind] {
		return nil
	}
	if len(names) == 0 {
		return mistake{fmt.Sprintf("there is no %s %q", kind, name), "there are none: add [[" + kind + "]]"}
	}
	return mistake{fmt.Sprintf("there is no %s %q", kind, name), meant(name, names)}
}
