package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"imprint/cmd/imprint/seriescmd"
	"imprint/image/diff"
	"imprint/image/emulator"
	"imprint/image/plan"
	"imprint/image/write"
	"imprint/internal/units"
)

// A build is the result of writing an image.
type build struct {
	*write.Result
	manifest *plan.Manifest
	entries  []write.ExportedEntry
	seconds  float64

	differences []diff.Change // of a second build, with --check
	kept        *seriescmd.Result
}

// built reports what was built, and how to boot it.
func (r *root) built(f buildFlags, b *build) error {
	m, result, first := b.manifest, b.Result, f.first()
	length, onDisk := first.sizes()
	if first.Format.HoldsDisk() {
		length = m.Size
	}
	if f.write.NoVerify {
		r.log.Warn("the NAR hashes of store items were not checked (--no-verify)")
	}
	if r.json {
		done := event{
			"event": "done", "image": first.Name, "size": length, "onDisk": onDisk, "written": result.Written, "seconds": b.seconds,
			"digest": result.Digests.Image, "sha256": result.Digests.SHA256, "verified": !f.write.NoVerify, "manifest": f.manifestOf(first),
			"outputs": f.outputEvents(),
		}
		if b.kept != nil {
			done["series"] = b.kept
		}
		if f.twice {
			done["differences"] = append([]diff.Change{}, b.differences...)
		}
		r.ui.event(done)
		return cmp.Or(r.ui.failed, b.checked())
	}
	var text strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&text, format+"\n", args...) }
	holds := units.Count(len(m.Partitions), "partition")
	if !first.Format.HoldsDisk() {
		holds = "partition " + first.Partition
	}
	size := units.FormatBytes(length) + " (" + units.FormatBytes(onDisk) + " on disk)"
	if first.to != nil {
		size = units.FormatBytes(first.to.written)
	}
	say("%s: %s, %s, %s, in %.1f s", first.title(), size, holds, units.Count(len(m.Items), "store item"), b.seconds)
	for _, t := range f.targetList {
		if t == first {
			continue
		}
		length, onDisk := t.sizes()
		say("%s: %s, %s (%s on disk)", t.Name, t.Format.Name, units.FormatBytes(length), units.FormatBytes(onDisk))
	}
	for _, line := range [][2]string{{"digest", result.Digests.Image}, {"sha256", result.Digests.SHA256}, {"manifest", f.manifestOf(first)}, {"boot", f.bootLine(b)}} {
		if line[1] != "" {
			say("  %-8s  %s", line[0], line[1])
		}
	}
	if b.kept != nil {
		text.WriteString(b.kept.Text())
	}
	if f.write.NoVerify {
		say("  unverified: the NAR hashes of store items were not checked")
	}
	switch {
	case len(b.differences) > 0:
		say("  check     built again in other conditions, and different:\n%s", strings.TrimSuffix(diff.Text(b.differences, false), "\n"))
	case f.twice:
		say("  check     built again in other conditions, and equal")
	}
	_, err := io.WriteString(r.stdout, text.String())
	return cmp.Or(err, b.checked())
}

// checked returns errDiffers if a second build had other bytes.
func (b *build) checked() error {
	if len(b.differences) > 0 {
		return errDiffers
	}
	return nil
}

// first returns the output that the report begins with: the first one with the disk, if there is one.
func (f buildFlags) first() *target {
	for _, t := range f.targetList {
		if t.Format.HoldsDisk() {
			return t
		}
	}
	return f.targetList[0]
}

// manifestOf returns the name of a target's manifest for the report, "" if it has none.
func (f buildFlags) manifestOf(t *target) string {
	if f.noManifest || !t.Format.HoldsDisk() {
		return ""
	}
	return t.manifestName()
}

// outputEvents returns all outputs for the report of a build.
func (f buildFlags) outputEvents() (list []event) {
	for _, t := range f.targetList {
		length, onDisk := t.sizes()
		list = append(list, event{"image": t.Name, "format": t.Format.Name, "length": length, "onDisk": onDisk, "manifest": f.manifestOf(t)})
	}
	return list
}

// bootLine returns a command that boots the first output that QEMU reads, "" if there is none.
func (f buildFlags) bootLine(b *build) string {
	for _, t := range f.targetList {
		if t.Format.QEMU != "" && t.to == nil {
			return emulator.Boot{Target: emulator.TargetOf(b.manifest), Image: t.Name, Format: t.Format.QEMU, Export: f.exportBoot, Entries: b.entries}.Line()
		}
	}
	return ""
}
