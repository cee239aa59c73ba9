// What Bio-Formats makes of files: for each pair of arguments a line of JSON about the first, its planes into the
// second. Run as it stands: java -cp bioformats_package.jar Planes.java IN OUT [IN OUT]...

import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.StringJoiner;
import loci.common.DebugTools;
import loci.common.services.ServiceFactory;
import loci.formats.ImageReader;
import loci.formats.meta.IMetadata;
import loci.formats.services.OMEXMLService;
import ome.units.UNITS;

public class Planes {
  public static void main(String[] files) throws Exception {
    DebugTools.setRootLevel("ERROR");
    for (int file = 0; file + 1 < files.length; file += 2) {
      IMetadata told = new ServiceFactory().getInstance(OMEXMLService.class).createOMEXMLMetadata();
      try (ImageReader reader = new ImageReader();
          OutputStream out = Files.newOutputStream(Path.of(files[file + 1]))) {
        reader.setMetadataStore(told);
        reader.setId(files[file]);
        StringJoiner times = new StringJoiner(",");
        for (int plane = 0; plane < told.getPlaneCount(0); plane++) {
          if (told.getPlaneDeltaT(0, plane) != null) {
            times.add(told.getPlaneDeltaT(0, plane).value(UNITS.SECOND).toString());
          }
        }
        System.out.printf(
            "{\"x\":%d,\"y\":%d,\"c\":%d,\"z\":%d,\"t\":%d,\"rgb\":%b,\"series\":%d,\"name\":\"%s\","
                + "\"began\":\"%s\",\"delta_t\":[%s]}%n",
            reader.getSizeX(), reader.getSizeY(), reader.getSizeC(), reader.getSizeZ(), reader.getSizeT(),
            reader.isRGB(), reader.getSeriesCount(), told.getImageName(0), told.getImageAcquisitionDate(0), times);
        for (int plane = 0; plane < reader.getImageCount(); plane++) {
          out.write(reader.openBytes(plane)); // one colour after the other
        }
      }
    }
  }
}
