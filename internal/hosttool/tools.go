package hosttool

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// A Tool is a program that imprint can use.
type Tool struct {
	Name        string
	Package     string   // the Debian package that has it
	For         string   // the word of a description that needs it: an engine, a file system or a boot loader
	Purpose     string   // what imprint needs it for
	VersionArgs []string // arguments that make it print its version and do nothing else
}

// tools are listed by `imprint doctor`, and name the package in every message about a missing program.
var tools = []Tool{
	{"mke2fs", "e2fsprogs", "mke2fs", "ext4 by the host's tools (engine mke2fs)", []string{"-V"}},
	{"debugfs", "e2fsprogs", "mke2fs", "ext4 by the host's tools (engine mke2fs)", []string{"-V"}},
	{"e2fsck", "e2fsprogs", "mke2fs", "ext4 by the host's tools (engine mke2fs)", []string{"-V"}},
	{"grub-mkimage", "grub-common", "grub", "core images of GRUB (loader grub)", []string{"--version"}},
	{"sqfstar", "squashfs-tools", "squashfs", "squashfs", []string{"-version"}},
	{"mksquashfs", "squashfs-tools", "compression-level", "squashfs with compression-level", []string{"-version"}},
	{"syslinux", "syslinux", "syslinux", "SYSLINUX on FAT (loader syslinux)", []string{"--version"}},
	{"mcopy", "mtools", "syslinux", "SYSLINUX on FAT (loader syslinux)", []string{"--version"}},
	{"git-annex", "git-annex", "annex", "inputs in a repository of git-annex", []string{"version", "--raw"}},
}

// Tools returns the programs that imprint can use. A GPT disk of native file systems needs none of them.
func Tools() []Tool { return append([]Tool(nil), tools...) }

func known(name string) (Tool, bool) {
	for _, t := range tools {
		if t.Name == name {
			return t, true
		}
	}
	return Tool{}, false
}

var versionNumber = regexp.MustCompile(`[0-9]+(\.[0-9]+)+[-.~+0-9A-Za-z]*`)

// Version asks one of Tools for its version, such as "1.47.0". The error is a *MissingError when the host lacks it.
func Version(ctx context.Context, name string) (string, error) {
	tool, ok := known(name)
	if !ok {
		return "", fmt.Errorf("ask %s for its version: not one of the known host tools", name)
	}
	r, err := Run(ctx, Command{Name: name, Args: tool.VersionArgs, Merge: true})
	var exit *ExitError
	if err != nil && !errors.As(err, &exit) { // some return 1 after printing it
		return "", err
	}
	return string(versionNumber.Find(r.Output)), nil
}
