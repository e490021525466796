/* A 5 x 5 blur of an image with one channel, in blocks of rows and columns. The tuned numbers come from the compiler's
   command line: -DROWS=16 -DCOLUMNS=16 */

#define RADIUS 2

void blur(const float *image, const float *weights, float *result, int height, int width) {
    int padded = width + 2 * RADIUS;
    for (int top = 0; top < height; top += ROWS) {
        for (int left = 0; left < width; left += COLUMNS) {
            int bottom = top + ROWS < height ? top + ROWS : height;
            int right = left + COLUMNS < width ? left + COLUMNS : width;
            for (int y = top; y < bottom; y++) {
                for (int x = left; x < right; x++) {
                    float sum = 0;
                    for (int dy = 0; dy <= 2 * RADIUS; dy++)
                        for (int dx = 0; dx <= 2 * RADIUS; dx++)
                            sum += weights[dy * (2 * RADIUS + 1) + dx] * image[(y + dy) * padded + x + dx];
                    result[y * width + x] = sum;
                }
            }
        }
    }
}
