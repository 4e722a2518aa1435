package language

import "imprint/internal/keyed"

// contents describes the keys of what is in a partition.
var contents = map[string]keyed.Rule{
	"partition.dir":       {Doc: "A directory in the partition. Missing parents are made, with the owner of the directory that they are in."},
	"partition.dir.path":  {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.dir.mode":  {Doc: "Permissions in octal."},
	"partition.dir.uid":   {Doc: "Owner.", Most: maxOwner},
	"partition.dir.gid":   {Doc: "Group.", Most: maxOwner},
	"partition.dir.user":  {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: AccountForm},
	"partition.dir.group": {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: AccountForm},

	"partition.file":        {Doc: "A file in the partition, from text or from a file on the host."},
	"partition.file.path":   {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.file.text":   {Doc: "Its content."},
	"partition.file.source": {Doc: "File on the host to copy."},
	"partition.file.mode":   {Doc: "Permissions in octal."},
	"partition.file.uid":    {Doc: "Owner.", Most: maxOwner},
	"partition.file.gid":    {Doc: "Group.", Most: maxOwner},
	"partition.file.user":   {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: AccountForm},
	"partition.file.group":  {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: AccountForm},

	"partition.link":        {Doc: "A symbolic link in the partition."},
	"partition.link.path":   {Doc: "Where it is in the partition.", Required: true, Pattern: absoluteForm},
	"partition.link.target": {Doc: "Target of the link.", Required: true},
	"partition.link.uid":    {Doc: "Owner.", Most: maxOwner},
	"partition.link.gid":    {Doc: "Group.", Most: maxOwner},
	"partition.link.user":   {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: AccountForm},
	"partition.link.group":  {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: AccountForm},

	"partition.file.override": {Doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},
	"partition.link.override": {Doc: "Replace what earlier trees, files and links have at the path; symlinks to directories on the way are followed."},

	"partition.layer": {
		Doc: "Layers of the partition's tree, the lowest first; trees, directories, files and links come on top. Each replaces what is below it at the same paths, " +
			"and removes what its whiteouts name.",
	},
	"partition.layer.from": {
		Doc: "Base, by its digest: the image of a container in a registry (oci:debian@sha256:…), in a layout (oci-layout:DIR@…, oci-archive:FILE@…) or in what " +
			"docker save writes (docker-archive:FILE@…), or an archive (tar:FILE@…) or a layer (layer:DIGEST). Without a digest, the error says which line to write.",
	},
	"partition.layer.env": {Doc: "Environment in the build store, all of whose layers are taken: see imprint env.", Pattern: LayerNameForm},
	"partition.layer.tag": {Doc: "Tag or pin of the environment. Default: current.", Pattern: LayerNameForm},
	"partition.layer.source": {
		Doc: "Directory or archive on the host that is a layer: the whiteouts of OCI images (.wh.NAME, .wh..wh..opq) and of overlayfs are understood. " +
			"Archives may be compressed, as those of a tree.",
	},
	"partition.layer.digest": {
		Doc:     "Digest that the layer has, or of an environment the pin, and the build fails if it is another one; alone, the digest of a layer in the build store.",
		Pattern: DigestForm,
	},

	"partition.tree": {
		Doc: "A directory on the host, or a tar archive, to copy into the partition. The archive may be compressed with gzip, zstd, xz or bzip2.",
	},
	"partition.tree.source": {Doc: "Directory or archive on the host.", Required: true},
	"partition.tree.target": {Doc: "Directory in the partition to copy it to.", Pattern: absoluteForm},
	"partition.tree.exclude": {
		Doc: "Patterns of paths in the source to omit, as in .gitignore: *.pyc, /proc/*, /var/cache/*, .git/, /home/**/tmp.",
	},
	"partition.tree.override": {
		Doc: "Replace what earlier trees have at the same paths. Where this tree has a directory and an earlier one a symlink to a directory, " +
			"such as /lib, the symlink stays and its target gets the files. A directory with files is replaced only by a directory.",
	},

	"partition.attr": {Doc: "Mode and owner of everything that a pattern matches: what trees, dir, file and link add. Later ones count."},
	"partition.attr.path": {
		Doc:      "Pattern of paths from the top of the partition, as in exclude: /home/alice/** is everything below the directory. It has to match something.",
		Required: true, Pattern: absoluteForm,
	},
	"partition.attr.mode":  {Doc: "Permissions in octal; symlinks keep theirs."},
	"partition.attr.uid":   {Doc: "Owner.", Most: maxOwner},
	"partition.attr.gid":   {Doc: "Group.", Most: maxOwner},
	"partition.attr.user":  {Doc: "Owner by name, from /etc/passwd in the partition's own tree.", Pattern: AccountForm},
	"partition.attr.group": {Doc: "Group by name, from /etc/group in the partition's own tree.", Pattern: AccountForm},
}
