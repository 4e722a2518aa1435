// Package nbd serves a disk as a network block device: the NBD protocol, version "fixed newstyle", with structured replies and the metadata
// context base:allocation, so that holes stay holes.
//
// Clients are not trusted: the memory that they cost, and the time that they may take to send or to receive, are bounded. There is no
// encryption and no authentication: who reaches the socket reads the disk.
//
// The protocol is that of https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md.
package nbd

import "encoding/binary"

// All numbers are big-endian.
var order = binary.BigEndian

// Magic numbers.
const (
	magicServer     = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454f5054 // "IHAVEOPT"
	magicReply      = 0x0003e889045565a9 // of a reply to an option
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef
)

// Flags of the handshake, the same for both sides.
const (
	handshakeFixed    = 1 << 0 // fixed newstyle
	handshakeNoZeroes = 1 << 1 // no padding after the reply to optExportName
)

// Options that a client may send.
const (
	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optStartTLS        = 5
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10
)

// Types of replies to options; those with the highest bit are errors.
const (
	repAck        = 1
	repServer     = 2
	repInfo       = 3
	repMeta       = 4
	repErrUnsup   = 1<<31 + 1
	repErrInvalid = 1<<31 + 3
	repErrUnknown = 1<<31 + 6
	repErrTooBig  = 1<<31 + 9
)

// Types of information about an export.
const (
	infoExport      = 0
	infoName        = 1
	infoDescription = 2
	infoBlockSize   = 3
)

// Transmission flags of an export.
const (
	flagHasFlags    = 1 << 0
	flagReadOnly    = 1 << 1
	flagFlush       = 1 << 2
	flagFUA         = 1 << 3
	flagTrim        = 1 << 5
	flagWriteZeroes = 1 << 6
	flagDF          = 1 << 7
	flagMultiConn   = 1 << 8
)

// Commands.
const (
	cmdRead        = 0
	cmdWrite       = 1
	cmdDisconnect  = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdWriteZeroes = 6
	cmdBlockStatus = 7
)

// Flags of commands.
const (
	cmdFlagFUA    = 1 << 0 // on the disk before the reply
	cmdFlagNoHole = 1 << 1 // allocate space for zeros
	cmdFlagDF     = 1 << 2 // the reply is one chunk
	cmdFlagOne    = 1 << 3 // one descriptor of block status
)

// Types of chunks of a structured reply.
const (
	chunkNone        = 0
	chunkData        = 1
	chunkHole        = 2
	chunkBlockStatus = 5
	chunkError       = 1<<15 + 1

	chunkDone = 1 << 0 // flag of the last chunk
)

// Error numbers of the protocol.
const (
	errPerm     = 1
	errIO       = 5
	errInvalid  = 22
	errNoSpace  = 28
	errShutdown = 108
)

// The metadata context that the server has, and its states.
const (
	contextName = "base:allocation"
	contextID   = 1
	stateHole   = 1 << 0
	stateZero   = 1 << 1
)

// Limits of requests. The protocol allows a server to refuse requests of more than 32 MiB.
const (
	maxRequest     = 32 << 20
	maxOption      = 64 << 10 // bytes of an option
	maxOptions     = 256      // of one handshake
	maxDescriptors = 2048     // of one reply with block status
	chunkSize      = 1 << 20  // bytes of data in a chunk
	blockSize      = 4096     // preferred, bytes
)
