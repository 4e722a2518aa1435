package mke2fs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"imprint/internal/hosttool"
)

// features are the features of the file system, whatever the host's version has by default. Released GRUB 2.06 cannot read
// metadata_csum_seed, and orphan_file only helps file systems that are written to a lot.
const features = "none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file," +
	"dir_nlink,extra_isize,metadata_csum"

// configs replace the host's /etc/mke2fs.conf and /etc/e2fsck.conf. mke2fs chooses a usage type by size if it is given none, and warns about
// types that the file does not define.
var configs = map[string]string{
	"mke2fs.conf": `[defaults]
	base_features = sparse_super
	default_mntopts = acl,user_xattr
	enable_periodic_fsck = 0
	hash_alg = half_md4
[fs_types]
	ext4 = {
		blocksize = 4096
	}
	imprint = {
		blocksize = 4096
	}
`,
	"e2fsck.conf": fmt.Sprintf("[options]\n\tindexed_dir_slack_percentage = %d\n", dirSlack),
}

// A maker runs the tools on one region of a disk file.
type maker struct {
	*Plan
	scratch *scratch
	image   string // the disk file
	offset  int64
}

// Make fills the region [offset, offset+Size) of the file, which must exist and read as zeros. It needs the host tools mke2fs, debugfs and
// e2fsck. The error matches [hosttool.ErrMissing] when one is missing, and ctx's cause when ctx ends. Scratch files are always removed.
func (p *Plan) Make(ctx context.Context, file string, offset int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("make ext4 in %s at byte %d: %w", file, offset, err)
		}
	}()
	if err := p.checkRegion(file, offset); err != nil {
		return err
	}
	dir := p.opts.Scratch
	if dir == "" {
		dir = filepath.Dir(file)
	}
	s, err := newScratch(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	m := &maker{Plan: p, scratch: s, offset: offset}
	if m.image, err = s.imageName(file); err != nil {
		return err
	}
	return m.make(ctx)
}

// checkRegion returns an error if the file has no such region. The tools take offsets in sectors.
func (p *Plan) checkRegion(file string, offset int64) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if offset < 0 || offset%512 != 0 || info.Mode().IsRegular() && info.Size() < offset+p.size {
		return fmt.Errorf("no region of %d bytes there, the file has %d", p.size, info.Size())
	}
	return nil
}

func (m *maker) make(ctx context.Context) error {
	if err := m.configure(); err != nil {
		return err
	}
	if err := m.format(ctx); err != nil {
		return err
	}
	p := populator{Plan: m.Plan, run: m.debugfs, scratch: m.scratch}
	if err := p.populate(ctx); err != nil {
		return err
	}
	return m.index(ctx)
}

// configure writes the tools' configuration files.
func (m *maker) configure() error {
	for name, text := range configs {
		if err := os.WriteFile(filepath.Join(m.scratch.dir, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// format makes the empty file system. It initialises inode tables and journal, which as zeros are holes in a sparse file, so that the kernel
// need not do it later.
func (m *maker) format(ctx context.Context) error {
	l := m.layout
	_, err := hosttool.Run(ctx, hosttool.Command{Name: "mke2fs", Env: m.env(), Args: []string{
		"-q", "-F", "-t", "ext4", "-T", "imprint", "-o", "Linux", "-e", "continue",
		"-b", strconv.Itoa(blockSize), "-I", strconv.Itoa(inodeSize), "-m", "0", "-G", "16",
		"-g", strconv.FormatInt(l.perGroup, 10), "-N", strconv.FormatInt(l.inodes, 10),
		"-J", "size=" + strconv.FormatInt(l.journal*blockSize>>20, 10),
		"-O", features, "-U", m.opts.UUID.String(), "-L", m.opts.Label,
		// One -E only: the last of several replaces the others.
		"-E", fmt.Sprintf("offset=%d,hash_seed=%s,root_owner=0:0,lazy_itable_init=0,lazy_journal_init=0,nodiscard", m.offset, m.opts.HashSeed),
		m.image, strconv.FormatInt(l.blocks, 10),
	}})
	return err
}

// debugfs runs one script.
func (m *maker) debugfs(ctx context.Context, s *script) error {
	r, err := hosttool.Run(ctx, hosttool.Command{Name: "debugfs", Args: []string{"-w", "-f", "-", m.region()}, Env: m.env(),
		Stdin: strings.NewReader(string(s.input())), Merge: true, Limit: s.transcriptSize() + 1<<20})
	if err != nil {
		return err
	}
	return s.check(r.Output)
}

// index turns every directory into a hash tree and checks the whole file system. e2fsck returns 1 when it has changed something. That can only
// be directories, since it prints a message about any other change.
func (m *maker) index(ctx context.Context) error {
	args := []string{"-f", "-D", "-y", "-E", "no_optimize_extents", m.region()}
	r, err := hosttool.Run(ctx, hosttool.Command{Name: "e2fsck", Args: args, Env: m.env(), Merge: true})
	var exit *hosttool.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.Code == 1) {
		return err
	}
	for said := range strings.Lines(string(r.Output)) {
		if said = strings.TrimSpace(said); said != "" && !fsckRoutine.MatchString(said) {
			return fmt.Errorf("e2fsck reports about the new file system: %s", said)
		}
	}
	return nil
}

// fsckRoutine matches what e2fsck prints when nothing is wrong.
var fsckRoutine = regexp.MustCompile(`^(e2fsck [0-9].*|Pass [1-5]A?: .*|.*: \*{5} FILE SYSTEM WAS MODIFIED \*{5}|.*: \d+/\d+ files \(.*\), \d+/\d+ blocks)$`)

// region names the region in the syntax of libext2fs.
func (m *maker) region() string { return fmt.Sprintf("%s?offset=%d", m.image, m.offset) }

// env is the tools' environment.
func (m *maker) env() []string {
	now := strconv.FormatInt(toolTime(m.opts.Epoch), 10)
	conf := func(name string) string { return filepath.Join(m.scratch.dir, name) }
	return []string{"E2FSPROGS_FAKE_TIME=" + now, "E2FSCK_TIME=" + now,
		"MKE2FS_CONFIG=" + conf("mke2fs.conf"), "E2FSCK_CONFIG=" + conf("e2fsck.conf"), "MKE2FS_SYNC=0"}
}

// toolTime is the current time for the tools: the epoch, if it is within 31 bits and not 0, which means the clock's time to them.
func toolTime(epoch int64) int64 {
	if epoch > 0 && epoch <= math.MaxInt32 {
		return epoch
	}
	return 1
}
