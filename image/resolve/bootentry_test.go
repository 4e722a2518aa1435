package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"imprint/image/imagetest"
)

const withEntries = `
[[closure]]
name = "system"
roots = ["%s"]
[boot]
loader = "none"
%s
[[partition]]
name = "root"
type = "root"
filesystem = "ext4"
closures = ["system"]
%s
`

// What an entry says, or leaves out, so that the image would not boot, brings a warning; whatever may boot brings none.
func TestEntriesThatCannotBeMeant(t *testing.T) {
	w := imagetest.New(t)
	elf := func(class, machine string) string {
		return "\x7fELF" + class + "\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + machine + "\x00"
	}
	system := w.Item("system", nil, map[string]string{
		"kernel": strings.Repeat("\x00", 0x202) + "HdrS", "shell.efi": "MZ", "initrd": "I", "empty": "", "init": "#!/bin/sh", "x86": elf("\x02", "\x3e"), "arm": elf("\x02", "\xb7"), "i386": elf("\x01", "\x03"),
	})
	entry := func(title, cmdline string, initrd ...string) string {
		for i, name := range initrd {
			initrd[i] = fmt.Sprintf("\"${closure.system}/%s\"", name)
		}
		return fmt.Sprintf("[[boot.entry]]\ntitle = %q\nkernel = \"${closure.system}/kernel\"\ninitrd = [%s]\ncmdline = %q\n",
			title, strings.Join(initrd, ", "), cmdline)
	}
	const init = "init=${closure.system}/"
	for _, c := range []struct{ entries, more, want string }{
		{entry("a", init+"init", "initrd"), "", ""},
		{entry("a", "root=/dev/vda1 "+init+"init"), "", ""},
		{entry("a", init+"init", "initrd") + entry("a", init+"init", "initrd"), "", `boot.entry[1].title: the menu has another entry "a"`},
		{entry("a", init+"init", "initrd", "empty"), "", "boot.entry[0].initrd[1]: is an empty file"},
		{entry("a", init+"init"), "", "boot.entry[0]: has neither an initrd nor root= in cmdline"},
		{strings.Replace(entry("a", ""), "/kernel", "/shell.efi", 1), "", ""},
		{entry("a", "root=/dev/vda1", "initrd"), "", "boot.entry[0].cmdline: has no init=, and no partition has one of /sbin/init, /etc/init, /bin/init, /bin/sh"},
		{entry("a", "root=/dev/vda1", "initrd"), "link = [{ path = \"/sbin/init\", target = \"${closure.system}/init\" }]", ""},
		{entry("a", "root=/dev/vda1", "initrd"), "link = [{ path = \"/sbin\", target = \"usr/sbin\" }]", ""},
		{entry("a", "quiet", "initrd"), "", ""}, // by which a system may find its root file system by the type of its partition
		{entry("a", init+"x86", "initrd"), "", ""},
		{entry("a", init+"i386", "initrd"), "", ""},
		{entry("a", init+"arm", "initrd"), "", "boot.entry[0].cmdline: " + system + "/arm is for aarch64, but the image is for x86_64"},
		{entry("a", init+"arm "+init+"x86", "initrd"), "", ""},
		{entry("a", "root=/dev/vda1 "+init+"init"), "volatile = true", "partition[0].volatile: has no effect: it needs an initrd, and no boot entry has one"},
		{"", "volatile = true", "partition[0].volatile: has no effect: it needs an initrd, and no boot entry has one"},
		{entry("a", init+"init", "initrd"), "volatile = true", ""},
	} {
		p, err := w.Plan(fmt.Sprintf(withEntries, system, c.entries, "free = 0\n"+c.more))
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Warnings.Error(); (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s%s\nwarnings %q, want %q", c.entries, c.more, got, c.want)
		}
	}
}

// A root file system without free space is one only if the description says so.
func TestRootWithoutFreeSpace(t *testing.T) {
	w := imagetest.New(t)
	system := w.Item("system", nil, map[string]string{"kernel": "K", "init": "I"})
	const entry = "[[boot.entry]]\ntitle = \"a\"\nkernel = \"${closure.system}/kernel\"\ncmdline = \"root=/dev/vda1 init=${closure.system}/init\"\n"
	for _, c := range []struct {
		more, entry string
		want        bool
	}{
		{"", entry, true},
		{"", "", false}, // nothing boots from it
		{"free = 0", entry, false},
		{`free = "10%"`, entry, false},
		{`min-size = "1GiB"`, entry, false},
		{`size = "1GiB"`, entry, false},
		{`flags = ["growfs"]`, entry, false},
	} {
		p, err := w.Plan(fmt.Sprintf(withEntries, system, c.entry, c.more))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(p.Warnings.Error(), "partition[0]: is only as large as its content"); got != c.want {
			t.Errorf("%q: warnings %v", c.more, p.Warnings)
		}
	}
}
