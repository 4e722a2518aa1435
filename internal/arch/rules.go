package arch

// A room lists the packages that those below a path of the module may import, besides the standard library.
type room struct {
	path    string   // of a package, or "parent/..." for a package and all below it
	may     []string // packages of the module, in the same form
	modules []string // packages of other modules, likewise
}

// rooms lists the floors from the top. The first match for a package counts; a package without a match is an error.
var rooms = []room{
	{"cmd/...", []string{"..."}, []string{"..."}},

	// The stages: each imports only what it needs of earlier ones.
	{"image/disk", []string{"image/gpt", "image/mbr", "partition", "bootloader/menu", "closure", "internal/chain", "internal/diag", "internal/fault", "internal/tree", "internal/verity"}, nil},
	{"image/crosscheck", []string{"image/crosscheck/opinion", "image/disk", "partition", "closure", "internal/..."},
		[]string{"golang.org/x/sync/...", "golang.org/x/sys/..."}},
	{"image/crosscheck/opinion", nil, []string{"github.com/diskfs/go-diskfs/...", "github.com/kdomanski/iso9660/...", "github.com/ncruces/go-sqlite3/..."}},
	{"image/inspect", []string{"image/disk", "partition", "bootloader/menu", "closure", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/diff", []string{"image/disk", "closure", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/emulator", []string{"container", "image/description", "image/disk", "image/plan", "image/write", "bootloader", "bootloader/menu", "internal/hosttool", "internal/tree"}, nil},
	{"image/serve", []string{"image/disk", "image/plan", "image/write", "internal/extent", "internal/processors", "internal/tree"},
		[]string{"golang.org/x/sys/...", "golang.org/x/sync/..."}},
	{"image/generation", []string{"image/plan", "image/write", "closure/outline", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/write", []string{"image/plan", "image/seal", "container", "partition", "bootloader", "bootloader/ipxe", "closure", "closure/nar", "internal/..."}, []string{"golang.org/x/sys/...", "golang.org/x/sync/..."}},
	{"image/trees", []string{"image/description", "image/host", "partition", "closure", "internal/accounts", "internal/diag", "internal/layer",
		"internal/pattern", "internal/tree"}, nil},
	{"image/earlier", []string{"image/plan", "partition", "internal/repro"}, nil},
	{"image/realise", []string{"image/base", "image/description", "image/host", "image/plan", "internal/..."}, nil},
	{"image/closures", []string{"image/description", "image/disk", "image/host", "image/plan", "image/source", "closure", "closure/daemon", "closure/narinfo", "closure/outline", "internal/..."},
		[]string{"golang.org/x/sync/..."}},
	{"image/resolve", []string{"image/base", "image/closures", "image/description", "image/earlier", "image/host", "image/input", "image/realise", "image/source", "image/trees", "image/identity", "image/plan", "image/seal", "image/toplevel", "image/mbr", "partition",
		"bootloader", "bootloader/bootspec", "bootloader/grubmkimage", "closure", "closure/outline", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/source", []string{"closure", "closure/address", "closure/daemon", "closure/db", "closure/export", "closure/listing", "closure/locks", "closure/nar", "closure/narinfo", "internal/..."},
		[]string{"golang.org/x/sync/...", "golang.org/x/sys/..."}},
	{"image/target", []string{"container/codec", "closure", "closure/daemon", "closure/export", "closure/listing", "closure/locks", "closure/nar", "closure/narinfo", "internal/..."},
		[]string{"golang.org/x/sync/...", "golang.org/x/sys/..."}},
	{"image/garbage", []string{"closure", "closure/locks"}, nil},
	{"image/seal", []string{"image/plan", "internal/extent", "internal/processors", "internal/units", "internal/verity"}, []string{"golang.org/x/sync/..."}},
	{"image/toplevel", []string{"bootloader/bootspec", "bootloader/bootparameters", "closure", "internal/diag", "internal/tree"}, nil},
	{"image/outputs", []string{"container", "image/description", "image/plan", "internal/hosttool"}, nil},
	{"image/identity", []string{"image/description", "image/host", "image/plan", "partition", "internal/repro", "internal/tree"}, nil},
	{"image/base", []string{"image/description", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/input", []string{"image/description", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/host", []string{"image/base", "image/description", "image/input", "partition", "closure", "internal/..."}, []string{"golang.org/x/sync/..."}},
	{"image/plan", []string{"image/gpt", "image/mbr", "partition", "bootloader", "closure", "internal/diag", "internal/extent", "internal/repro",
		"internal/tree", "internal/units", "internal/verity"}, nil},
	{"image/description", []string{"image/description/language", "image/mbr", "container", "partition", "bootloader", "closure", "closure/daemon", "closure/narinfo", "internal/diag", "internal/keyed", "internal/locator", "internal/oci", "internal/pattern",
		"internal/remote", "internal/units"}, nil},
	{"image/description/language", []string{"container", "partition", "bootloader", "closure", "internal/keyed", "internal/units"}, nil},
	{"image/description/reference", []string{"image/description", "internal/keyed"}, nil},
	{"image/description/starting", []string{"image/description/language"}, nil},
	{"image/mbr", cellar, nil},
	{"image/gpt", cellar, []string{"github.com/diskfs/go-diskfs/...", "github.com/google/uuid/..."}},

	{"container", []string{"container/...", "internal/pieces"}, nil},
	{"container/codec", nil, []string{"github.com/klauspost/compress/...", "github.com/therootcompany/xz/...", "github.com/ulikunitz/xz/..."}},
	{"container/...", []string{"internal/pieces"}, nil},
	{"bootloader", []string{"bootloader/pe", "bootloader/picture", "internal/..."}, nil},
	{"bootloader/...", cellar, []string{"golang.org/x/sys/..."}},
	{"partition", []string{"partition/...", "internal/..."}, []string{"github.com/google/uuid/..."}},
	{"partition/...", cellar, nil},
	{"closure", []string{"closure/...", "internal/..."}, []string{"golang.org/x/sync/...", "golang.org/x/sys/..."}},
	{"closure/db", cellar, []string{"github.com/ncruces/go-sqlite3/...", "golang.org/x/sys/..."}},
	{"closure/narinfo", []string{"closure/nar", "internal/..."}, nil},
	{"closure/listing", []string{"closure/nar", "internal/..."}, nil},
	{"closure/export", []string{"closure/nar", "internal/..."}, nil},
	{"closure/address", []string{"closure/nar", "internal/..."}, nil},
	{"closure/daemon", []string{"closure/nar", "internal/..."}, nil},
	{"closure/locks", nil, []string{"golang.org/x/sys/..."}},
	{"closure/...", cellar, nil},

	{"internal/remote", []string{"internal/awskeys", "internal/sigv4", "internal/unpack"}, []string{"github.com/cenkalti/backoff/..."}},
	{"internal/registry", []string{"internal/oci"}, []string{"github.com/docker/cli/...", "github.com/google/go-containerregistry/..."}},
	{"internal/unpack", cellar, []string{"github.com/andybalholm/brotli/...", "github.com/klauspost/compress/...", "github.com/therootcompany/xz/...", "github.com/ulikunitz/xz/..."}},
	{"internal/inflate", nil, []string{"github.com/klauspost/compress/...", "github.com/therootcompany/xz/..."}},
	{"internal/keyed", []string{"internal/diag", "internal/tomlpos"}, []string{"github.com/BurntSushi/toml/..."}},
	{"internal/sigv4", nil, nil},
	{"internal/sexp", nil, nil},
	{"internal/gcrypt", []string{"internal/sexp"}, []string{"filippo.io/edwards25519/..."}},
	{"internal/awskeys", []string{"internal/sigv4"}, nil},
	{"internal/repro", nil, []string{"github.com/google/uuid/..."}},
	{"internal/...", cellar, []string{"golang.org/x/sys/...", "golang.org/x/sync/..."}},
}

var cellar = []string{"internal/..."}

// A ban is a package of the standard library, or names of it, that only some packages may use.
type ban struct {
	pkg   string   // import path
	names []string // exported names; none means the whole package
	where []string // the packages that may, as in a room
	why   string
}

var bans = []ban{
	{"os/exec", nil, []string{"internal/hosttool", "internal/sandbox"}, "host tools run with a fixed environment, through internal/hosttool"},
	{"os", []string{"StartProcess"}, []string{"internal/hosttool"}, "host tools run with a fixed environment, through internal/hosttool"},
	{"syscall", []string{"Exec", "ForkExec", "StartProcess"}, nil, "host tools run with a fixed environment, through internal/hosttool"},
	{"plugin", nil, nil, "an image depends on nothing that is not in its description"},

	{"time", []string{"Now", "Since", "Until"}, append([]string{"cmd/..."}, servers...), "no clock reaches the bytes of an image"},
	{"os", []string{"Getenv", "LookupEnv", "Environ", "ExpandEnv", "UserHomeDir", "UserCacheDir", "UserConfigDir"},
		[]string{"cmd/...", "internal/hosttool"}, "no environment reaches the bytes of an image"},
	{"os", []string{"Hostname", "Getuid", "Geteuid", "Getgid", "Getegid"}, []string{"cmd/..."}, "nothing of the host reaches the bytes of an image"},
	{"math/rand", nil, nil, "identifiers derive from the seed, through internal/repro"},
	{"math/rand/v2", nil, nil, "identifiers derive from the seed, through internal/repro"},
	{"crypto/rand", nil, []string{"cmd/..."}, "identifiers derive from the seed, through internal/repro"},
	{"github.com/google/uuid", []string{"New", "NewString", "NewRandom", "NewUUID", "NewV6", "NewV7"}, nil,
		"identifiers derive from the seed, through internal/repro"},

	{"os", []string{"Exit"}, []string{"cmd/...", "internal/sandbox"}, "only the command ends the program"}, // the child of a sandbox never reaches it
	{"os", []string{"Stdin", "Stdout", "Stderr"}, []string{"cmd/..."}, "only the command talks to the terminal, and ends the program"},
	{"fmt", []string{"Print", "Printf", "Println", "Scan", "Scanf", "Scanln"}, []string{"cmd/..."}, "only the command talks to the terminal"},
	{"log", nil, []string{"internal/httpfile"}, "one logger is passed in"}, // net/http has to be given one to discard

	{"os", nil, readers, "it is values and arithmetic, without files"},
	{"io/ioutil", nil, readers, "it is values and arithmetic, without files"},
	{"golang.org/x/sys/unix", nil, readers, "it is values and arithmetic, without files"},
	{"net", nil, append([]string{"closure/daemon", "closure/locks"}, servers...), "only internal/remote fetches, and only servers listen"},
	{"net", []string{"Dial", "DialTimeout", "DialTCP", "DialUDP", "DialIP", "Dialer", "LookupHost", "LookupIP", "LookupAddr", "Resolver"}, nil, "only internal/remote fetches"},
	{"net", []string{"DialUnix"}, []string{"internal/listen", "closure/daemon", "closure/locks"}, "only internal/remote fetches; a server asks whether a socket has another one, and a store's daemon and collector listen on sockets"},
	{"net/http", nil, []string{"internal/httpfile", "internal/registry", "internal/remote"}, "only internal/remote fetches, and only servers listen"},
	{"net/http", []string{"Get", "Head", "Post", "PostForm", "Client", "DefaultClient", "Transport", "DefaultTransport", "NewRequest", "NewRequestWithContext"},
		[]string{"internal/remote"}, "only internal/remote fetches: one place for limits, patience and URLs, and what it returns is compared with a hash"},
}

// servers are the packages that serve a disk that they are given: they need sockets, and deadlines for clients. None of them makes a byte
// of an image, and none fetches anything.
var servers = []string{"internal/listen", "internal/nbd", "internal/httpfile"}

// readers are the packages that may open files. All others are values and arithmetic: descriptions, plans and layouts, file
// systems, partition tables, boot loaders.
var readers = []string{
	"cmd/...", "image/crosscheck", "image/crosscheck/opinion", "image/base", "image/closures", "image/generation", "image/host", "image/input", "image/realise", "image/resolve", "image/serve", "image/write",
	"closure", "closure/db", "closure/locks", "image/garbage", "image/source", "image/target", "bootloader/grubmkimage", "partition", "partition/mke2fs", "partition/squashfs", "partition/syslinux",
	"internal/annex", "internal/awskeys", "internal/cas", "internal/direct", "internal/environment", "internal/extract", "internal/hosttool", "internal/hosttree", "internal/inodes", "internal/limits", "internal/listen", "internal/named", "internal/notes", "internal/objects", "internal/oci", "internal/output", "internal/overlay",
	"internal/processors", "internal/remote", "internal/restore", "internal/sandbox", "internal/scratch", "internal/series",
	"internal/steprun", "internal/stepstore", "internal/stream", "internal/tarindex", "internal/unpack", "internal/workspace",
}

// A word is a string of the language or of a format that only some packages may contain.
type word struct {
	texts []string // the string literals
	where []string // the packages that may, as in a room
	why   string
}

// words are described by one row each, in the package that owns it; the rest of the program asks that row.
var words = []word{
	{[]string{"ext4", "fat", "squashfs", "erofs", "iso9660", "mke2fs"}, []string{"partition/...", "bootloader", "image/crosscheck/opinion", "internal/hosttool"},
		"file systems are described in package partition, a file for each"},
	{[]string{"iso"}, []string{"partition/...", "bootloader"}, "the word for an ISO is partition.ISO"},
	{[]string{"systemd-boot", "grub", "uki", "extlinux", "syslinux"}, []string{"bootloader/...", "partition/syslinux", "internal/hosttool"},
		"boot loaders are described in package bootloader, a file for each"},
	{[]string{"qcow2", "vmdk", "vhd", "vhdx", "raw.zst", "raw.gz", "raw.xz", "gce", "bmap", "ova", "oci"}, []string{"container/...", "internal/diskformat", "internal/oci"}, "disk formats are described in package container, a row for each"},
	{[]string{"/nix/var/nix", "/nix/store", "/var/guix", "/gnu/store"}, []string{"closure/..."}, "store directories are those of closure.Flavor"},
	{[]string{"/EFI/BOOT/", "/EFI/BOOT"}, []string{"bootloader"}, "where firmware looks is for package bootloader to say"},
}

// mostFiles is the maximum number of source files in a package, not counting tests.
const mostFiles = 18

// large are packages that need more for their format.
var large = []string{"partition/ext4", "partition/iso9660", "partition/erofs", "partition/fat"}

// testSupport are packages for tests, measurements, releases and the demo. No rule applies to them, and the program may not
// import them.
var testSupport = []string{
	"bench/...", "closure/closuretest", "dist/...", "image/imagetest", "internal/hosttest", "internal/guixtest", "internal/nixtest", "internal/qemutest/...", "internal/demostore/...", "internal/s3test", "partition/partitiontest",
}
